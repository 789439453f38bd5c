"""The frozen teacher, the shared network, and the losses between them."""

import copy

import pytest
import torch
from joint_step_toys import assert_same_gradients, gradients_of, joint_loop, loss_terms, states_and_logits, terms

from mmamd.export import cut_network
from mmamd.registry import MODELS


def preprocessed(distiller, batch):
    return distiller.data_preprocessor(batch, training=True)


def taught(distiller, batch):
    """What the first teacher makes of a batch."""
    data = preprocessed(distiller, batch)
    return distiller.teach(data['inputs'], data['data_samples'])[0]


def at(distiller, scale):
    """The candidate of a scale."""
    return next(candidate for candidate in distiller.candidates if candidate.scale == scale)


def losses_of(distiller, candidate, batch):
    data = preprocessed(distiller, batch)
    targets = distiller.teach(data['inputs'], data['data_samples'])
    distiller.activate(candidate)
    return distiller(**data, targets=targets, mode='loss')


def all_weights(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


# --- the teacher ---

def test_the_teacher_stays_in_eval_mode(make_distiller, network_settings, batch):
    # With so much dropout two passes of a training network would differ.
    backbone = dict(network_settings['backbone'], drop_rate=0.5, drop_path_rate=0.5)
    distiller = make_distiller(architecture=dict(network_settings, backbone=backbone)).train()
    assert all(module.training for module in distiller.network.modules())
    assert not any(module.training for module in distiller.teacher.modules())
    first, second = (taught(distiller, batch) for _ in range(2))
    assert torch.equal(first.logits, second.logits)


def test_the_teacher_has_no_gradients_and_does_not_change(make_distiller, batch):
    distiller = make_distiller()
    before = all_weights(distiller.teacher)
    loop = joint_loop(distiller)
    loop.step(batch)
    assert all(p.grad is None and not p.requires_grad for p in distiller.teacher.parameters())
    targets = taught(distiller, batch)
    assert not any(t.requires_grad for t in [targets.logits, *targets.states.values()])
    assert all(torch.equal(value, before[key]) for key, value in distiller.teacher.state_dict().items())


def test_the_teacher_is_in_no_state_dict_and_no_optimizer(make_distiller):
    distiller = make_distiller()
    assert list(distiller.state_dict()) == [f'network.{key}' for key in distiller.network.state_dict()]
    ours = {id(p) for p in distiller.parameters()}
    assert ours == {id(p) for p in distiller.network.parameters()}
    assert not ours & {id(p) for p in distiller.teacher.parameters()}


def test_the_teacher_follows_to_another_dtype(make_distiller):
    distiller = make_distiller().to(torch.float64)
    for network in (distiller.teacher, distiller.network):
        assert {p.dtype for p in network.parameters()} == {torch.float64}


def test_teacher_and_shared_network_start_from_their_own_checkpoints(settings, make_distiller):
    teacher, start = (torch.load(settings[key])['state_dict'] for key in ('teacher', 'start'))
    for source, expected in ((settings['start'], start), ('teacher', teacher)):
        distiller = make_distiller(start=source)
        distiller.init_weights()  # Runner.train() calls it; weights that were loaded stay
        assert all(torch.equal(value, teacher[key]) for key, value in distiller.teacher.state_dict().items())
        assert all(torch.equal(value, expected[key]) for key, value in distiller.network.state_dict().items())


def test_start_without_a_teacher_is_still_read(settings, make_distiller):
    distiller, start = make_distiller(teacher=None), torch.load(settings['start'])['state_dict']
    assert all(torch.equal(value, start[key]) for key, value in distiller.network.state_dict().items())


def test_a_teacher_assistant_is_the_teacher_cut_to_its_candidate(settings, make_distiller, batch):
    # The student stage: the assistant of scale 0.5 teaches, the student of scale 0.1 learns.
    student, assistant, _ = settings['candidates']
    teacher = dict(architecture={**settings['architecture'], 'data_preprocessor': settings['data_preprocessor']},
                   weights=settings['teacher'], scale=0.5, kept=assistant['kept'])
    distiller = make_distiller(teacher=teacher, candidates=[student])
    images = preprocessed(distiller, batch)['inputs']
    cut = cut_network(make_distiller().teacher, make_distiller().candidates[1])
    distiller.activate(distiller.candidates[0])  # what the student runs as is not what its teacher runs as
    targets = taught(distiller, batch)
    with torch.no_grad():
        states, logits = states_and_logits(cut, images)
    torch.testing.assert_close(targets.logits, logits)
    torch.testing.assert_close(list(targets.states.values()), states)
    assert not torch.allclose(targets.logits, taught(make_distiller(), batch).logits)


def test_several_teachers_weigh_as_much_as_one(settings, make_distiller, batch):
    candidate = make_distiller().candidates[0]
    first, second = ({key: value.item() for key, value in losses_of(make_distiller(teacher=teacher), candidate,
                                                                    batch).items()}
                     for teacher in (settings['teacher'], settings['start']))
    both = losses_of(make_distiller(teacher=[settings['teacher'], settings['start']], start=settings['start']),
                     candidate, batch)
    for name, value in both.items():
        assert value.item() == pytest.approx((first[name] + second[name]) / 2, rel=1e-4), name


def test_building_writes_nothing_into_its_settings(settings):
    # The host's classifier would: its mixup of one network would then be that of the next.
    before = copy.deepcopy(settings)
    MODELS.build(settings)
    assert settings == before


# --- the losses ---

@pytest.mark.parametrize('weights', [
    dict(ce=1., logit=1., feat=1.), dict(ce=1., logit=0., feat=0.), dict(ce=0., logit=2., feat=0.),
    dict(ce=0., logit=0., feat=3.), dict(ce=.5, logit=0., feat=2.), dict(ce=0., logit=1., feat=1., dkd=4.)],
    ids=lambda weights: ', '.join(f'{weight:g} {name}' for name, weight in weights.items() if weight))
@pytest.mark.parametrize('scale', [0.1, 0.8])
def test_the_loss_is_the_weighted_sum_of_its_terms_in_value_and_gradient(make_distiller, batch, weights, scale):
    options = dict(logit=dict(temperature=2.), dkd=dict(temperature=2., zeta=1., eta=0.))
    distiller = make_distiller(losses=terms(options, **weights))
    candidate = at(distiller, scale)
    expected_terms = loss_terms(distiller, candidate, batch, temperature=2.)
    expected = {f'{candidate.key}.loss_{name}': weight * expected_terms[name]
                for name, weight in weights.items() if weight}
    actual = losses_of(distiller, candidate, batch)
    assert set(actual) == set(expected), 'a term of weight 0 is not there, and names start with the candidate'
    for name, value in expected.items():
        assert actual[name].item() == pytest.approx(value.item(), rel=1e-4), name
    assert_same_gradients(gradients_of(sum(actual.values()), distiller),
                          gradients_of(sum(expected.values()), distiller))


@pytest.mark.parametrize('weights, frozen', [
    (dict(ce=1), []), (dict(logit=1), []), (dict(dkd=1), []),
    # Hidden states come before the last norms and the head: no loss reaches those.
    (dict(feat=1), ['backbone.ln1.bias', 'backbone.ln1.weight', 'backbone.ln2.bias', 'backbone.ln2.weight',
                     'head.fc.bias', 'head.fc.weight'])])
def test_what_no_term_reaches_is_frozen_and_everything_else_has_a_gradient(make_distiller, batch, weights, frozen):
    # DistributedDataParallel waits for all that are not frozen; weight decay would shrink what has a gradient of 0.
    distiller = make_distiller(losses=terms(**weights))
    sum(losses_of(distiller, distiller.candidates[0], batch).values()).backward()
    assert sorted(name for name, p in distiller.network.named_parameters() if not p.requires_grad) == frozen
    assert all((p.grad is not None) == p.requires_grad for p in distiller.parameters())


def refuse(*_args, **_kwargs):
    raise AssertionError('computed although nothing asks for it')


def test_the_teacher_does_not_run_when_no_loss_asks_for_it(make_distiller, batch):
    distiller = make_distiller(losses=terms(ce=1, logit=0, feat=0))
    distiller.teacher.forward = refuse
    assert list(losses_of(distiller, distiller.candidates[0], batch)) == ['0.10.loss_ce']


def test_the_task_loss_is_not_computed_at_weight_zero(make_distiller, batch):
    distiller = make_distiller(losses=terms(ce=0, logit=1, feat=0))
    distiller.network.head.loss = refuse
    assert list(losses_of(distiller, distiller.candidates[0], batch)) == ['0.10.loss_logit']


def test_values_of_the_head_that_are_no_losses_are_reported_unweighted(make_distiller, network_settings, batch):
    head = dict(network_settings['head'], cal_acc=True)
    plain = losses_of(make_distiller(architecture=dict(network_settings, head=head)), None, batch)
    doubled = losses_of(make_distiller(architecture=dict(network_settings, head=head),
                                       losses=terms(ce=2., logit=1., feat=1.)), None, batch)
    assert set(plain) == {f'1.00.{name}' for name in ('loss_ce', 'accuracy_top-1', 'loss_logit', 'loss_feat')}
    assert doubled['1.00.loss_ce'].item() == pytest.approx(2 * plain['1.00.loss_ce'].item())
    assert doubled['1.00.accuracy_top-1'] == plain['1.00.accuracy_top-1']


def test_the_feature_loss_reads_the_layers_it_is_given(make_distiller, batch):
    distiller = make_distiller(losses=terms(dict(feat=dict(layers=[1])), feat=1))
    candidate = distiller.candidates[1]
    actual = losses_of(distiller, candidate, batch)['0.50.loss_feat']
    images = preprocessed(distiller, batch)['inputs']
    states = [states_and_logits(network, images)[0] for network in (distiller.network, distiller.teacher)]
    assert actual.item() == pytest.approx((states[0][1] - states[1][1]).square().mean().item(), rel=1e-5)


def test_predictions_are_those_of_the_active_candidate(make_distiller, batch):
    distiller = make_distiller().eval()
    data = distiller.data_preprocessor(batch)
    for candidate in distiller.candidates:
        distiller.activate(candidate)
        small = cut_network(distiller.network, candidate)
        with torch.no_grad():
            torch.testing.assert_close(distiller(**data, mode='tensor'), small(data['inputs'], mode='tensor'))
            predicted = distiller(**data, mode='predict')
        expected = small(data['inputs'], data['data_samples'], mode='predict')
        assert [sample.pred_label.item() for sample in predicted] == [s.pred_label.item() for s in expected]


# --- what is refused ---

@pytest.mark.parametrize('losses, message', [
    (terms(ce=0, logit=0, feat=0), 'all loss weights are 0'),
    (terms(dict(feat=dict(layers=[0, 3])), feat=1),
     r'losses.feat: layers has 3, got \[0, 3\]; expected different integers within 0..2'),
    (terms(dict(feat=dict(layers=[('backbone.layers.0', 'backbone.layer.0')])), feat=1),
     "losses.feat: of the teacher: ImageClassifier has no module 'backbone.layer.0'. Did you mean backbone.layers.0"),
])
def test_losses_that_cannot_be_are_refused_by_the_name_of_the_term(make_distiller, losses, message):
    with pytest.raises(ValueError, match=message):
        make_distiller(losses=losses)


def test_two_terms_that_report_one_value_are_refused(make_distiller, network_settings):
    head = dict(network_settings['head'], cal_acc=True)
    with pytest.raises(ValueError, match="losses.b: another term reports 'accuracy_top-1' too; leave one of them out"):
        make_distiller(architecture=dict(network_settings, head=head),
                       losses={'a': dict(type='mmamd.TaskLoss'), 'b': dict(type='mmamd.TaskLoss')})


def test_a_loss_without_the_teachers_targets_names_the_loop_that_gives_them(make_distiller, batch):
    distiller = make_distiller()
    with pytest.raises(ValueError, match='train it with mmamd.JointTrainLoop'):
        distiller(**preprocessed(distiller, batch), mode='loss')


def test_without_candidates_the_only_one_is_the_whole_network(make_distiller, network_settings, batch):
    distiller = make_distiller(candidates=None, losses=terms(ce=1))
    assert distiller.candidates == [None]
    network = MODELS.build(network_settings)
    network.load_state_dict(distiller.network.state_dict())
    data = preprocessed(distiller, batch)
    expected = network(data['inputs'], data['data_samples'], mode='loss')['loss']
    assert losses_of(distiller, None, batch)['1.00.loss_ce'].item() == expected.item()
