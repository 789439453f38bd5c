"""One optimizer step on the mean gradient of several candidates of one shared network."""

import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from joint_step_toys import assert_same_gradients, gradients_at_each_step, gradients_of, joint_loop, loss_terms, terms

from mmamd.export import cut_network


def total(found):
    return found['ce'] + found['logit'] + found['feat']


def test_gradients_are_the_mean_of_those_computed_separately(make_distiller, batch):
    distiller = make_distiller()
    losses = [total(loss_terms(distiller, candidate, batch)) for candidate in distiller.candidates]
    separate = [gradients_of(loss, distiller) for loss in losses]
    mean = {name: sum(g[name] for g in separate) / 3 for name in separate[0]}
    loop = joint_loop(distiller)
    stepped = gradients_at_each_step(loop)
    logged = loop.step(batch)
    assert len(stepped) == 1
    assert_same_gradients(stepped[0], mean)
    assert logged['loss'].item() == pytest.approx(sum(loss.item() for loss in losses) / 3, rel=1e-5)


@pytest.mark.parametrize('kind', ['ATLoss', 'SPLoss', 'PKTLoss', 'RKDLoss', 'CWDLoss'])
def test_gradients_of_other_terms_are_such_means_too(make_distiller, batch, kind):
    distiller = make_distiller(losses={'term': dict(type=f'mmamd.{kind}')}).train()
    data, separate = distiller.data_preprocessor(batch, True), []
    targets = distiller.teach(data['inputs'], data['data_samples'])
    for candidate in distiller.candidates:
        distiller.activate(candidate)
        value, = distiller.loss(data['inputs'], data['data_samples'], targets).values()
        separate.append(gradients_of(value, distiller))
    mean = {name: sum(g[name] for g in separate) / 3 for name in separate[0]}
    loop = joint_loop(distiller)
    stepped = gradients_at_each_step(loop)
    loop.step(batch)
    largest = max(gradient.abs().max().item() for gradient in mean.values())
    assert largest > 1e-3 and stepped[0].keys() == mean.keys()
    for name, gradient in mean.items():
        torch.testing.assert_close(stepped[0][name], gradient, rtol=1e-4, atol=1e-6 * largest)


def test_the_optimizer_applies_that_mean_and_forgets_it(make_distiller, batch):
    distiller = make_distiller()
    before = {name: p.detach().clone() for name, p in distiller.named_parameters()}
    loop = joint_loop(distiller, lr=0.1)
    stepped = gradients_at_each_step(loop)
    loop.step(batch)
    for name, parameter in distiller.named_parameters():
        torch.testing.assert_close(parameter, before[name] - 0.1 * stepped[0][name])
        assert parameter.grad is None or not parameter.grad.any()


def test_order_of_a_step(make_distiller, batch):
    # Every graph is consumed before the next is built, the largest first; batch and teacher are read once.
    distiller, events = make_distiller(), []
    loop = joint_loop(distiller)
    distiller.data_preprocessor.register_forward_hook(lambda *_: events.append('preprocess'))
    distiller.teacher.register_forward_hook(lambda *_: events.append('teacher'))
    distiller.network.backbone.register_forward_pre_hook(lambda *_: events.append(f'forward {distiller.active.key}'))
    optim_wrapper = loop.runner.optim_wrapper

    def note(name, original):
        return lambda *args: (events.append(name), original(*args))

    for name in ('backward', 'step', 'zero_grad'):
        setattr(optim_wrapper, name, note(name, getattr(optim_wrapper, name)))
    loop.step(batch)
    assert events == ['preprocess', 'teacher', 'forward 0.80', 'backward', 'forward 0.50', 'backward',
                      'forward 0.10', 'backward', 'step', 'zero_grad']


def test_one_graph_is_in_memory_at_a_time_and_none_after_the_step(make_distiller, batch):
    distiller, states, alive = make_distiller(), [], []
    loop = joint_loop(distiller)

    def count_alive(*_):
        alive.append(sum(state() is not None for state in states))

    distiller.network.backbone.register_forward_pre_hook(count_alive)
    for layer in distiller.network.backbone.layers:
        layer.register_forward_hook(lambda _module, _inputs, output: states.append(weakref.ref(output)))
    loop.step(batch)
    count_alive()
    assert len(states) == 3 * 2 and alive == [0, 0, 0, 0]


def test_a_step_trains_the_sampled_candidates_alone(make_distiller, batch):
    distiller = make_distiller()
    smallest = distiller.candidates[0]
    expected = gradients_of(total(loss_terms(distiller, smallest, batch)), distiller)
    loop = joint_loop(distiller)
    loop.step_candidates = [smallest]
    stepped = gradients_at_each_step(loop)
    logged = loop.step(batch)
    assert_same_gradients(stepped[0], expected)
    assert {name.split('.loss')[0] for name in logged} == {'0.10', 'loss'}


def test_the_number_of_candidates_may_vary_from_step_to_step(make_distiller, batch):
    distiller = make_distiller()
    loop = joint_loop(distiller)
    stepped = gradients_at_each_step(loop)
    for number in (3, 1, 2):
        loop.step_candidates = distiller.candidates[:number]
        loop.step(batch)
    assert len(stepped) == 3


@pytest.mark.parametrize('augment', ['Mixup', 'CutMix'])
def test_teacher_and_all_candidates_see_the_same_mixed_images_and_labels(make_distiller, network_settings, batch,
                                                                        augment):
    distiller = make_distiller(architecture=dict(network_settings, train_cfg=dict(
        augments=[dict(type=augment, alpha=1.)])))
    loop, seen, labels = joint_loop(distiller), [], []
    for network in (distiller.teacher, distiller.network):
        network.backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
    original = distiller.network.head.loss
    distiller.network.head.loss = lambda feats, samples: (
        labels.append(torch.stack([s.gt_score for s in samples])), original(feats, samples))[1]
    torch.manual_seed(0)  # a draw that mixes; some leave the images as they are
    np.random.seed(0)
    loop.step(batch)
    assert len(seen) == 4 and len(labels) == 3
    unmixed = (torch.stack(batch['inputs']).float() - 100) / 50
    assert not torch.allclose(seen[0], unmixed)
    assert all(torch.equal(images, seen[0]) for images in seen)
    assert ((labels[0] > 0) & (labels[0] < 1)).any(), 'labels are mixed too'
    assert all(torch.equal(label, labels[0]) for label in labels)


def test_without_a_teacher_term_a_candidate_trains_as_the_pruned_network_does_alone(settings, make_distiller, batch):
    # alpha = beta = 0: plain cross-entropy training of the network cut to the candidate, step by step.
    distiller = make_distiller(losses=terms(ce=1), candidates=settings['candidates'][:1])
    candidate, = distiller.candidates
    small = cut_network(distiller.network, candidate)
    small.train()
    optimizer = torch.optim.SGD(small.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    loop = joint_loop(distiller.train(), lr=0.1, momentum=0.9, weight_decay=0.01)
    start = {key: value.clone() for key, value in small.state_dict().items()}
    images = (torch.stack(batch['inputs']).float() - 100) / 50
    for _ in range(3):
        loop.step(batch)
        F.cross_entropy(small(images, mode='tensor'), torch.tensor([0, 2, 1, 2])).backward()
        optimizer.step()
        optimizer.zero_grad()
        trained = cut_network(distiller.network, candidate).state_dict()
        for key, value in small.state_dict().items():
            assert torch.allclose(trained[key], value, rtol=1e-4, atol=1e-5), key
    assert not any(torch.allclose(trained[key], start[key], atol=1e-4) for key in start)
