"""What holds for every term of the loss, whatever its formula."""

import pytest
import torch
import toy_terms  # noqa: F401  registers the toys
from joint_step_toys import gradients_at_each_step, gradients_of, joint_loop, raw_batch, teachers_for, terms

from mmamd.distillation.losses import Loss
from mmamd.registry import MODELS

REGISTERED = sorted(name for name, cls in MODELS.module_dict.items() if isinstance(cls, type) and issubclass(cls, Loss)
                    and cls.__module__.startswith('mmamd.'))
TOY = {'toy': dict(type='mmamd.ToyConnectorLoss')}


def alone(name):
    """Section of one term."""
    return {'term': dict(type=f'mmamd.{name}')}


def candidates_for(name, settings):
    """The candidates that a term may train in one step."""
    return settings['candidates'] if MODELS.get(f'mmamd.{name}').joint else settings['candidates'][-1:]


@pytest.fixture
def make(settings, make_distiller):
    """Function that builds a distiller of one term, by the name of its class."""
    return lambda name: make_distiller(losses=alone(name), candidates=candidates_for(name, settings),
                                       teacher=teachers_for(name, settings))


def test_there_are_terms():
    assert {'TaskLoss', 'LogitLoss', 'FeatureLoss', 'DKDLoss'} <= set(REGISTERED)


@pytest.mark.parametrize('name', [*REGISTERED, 'ToyConnectorLoss'])
def test_value_is_finite_and_gradients_reach_the_student_and_the_terms_own_parameters_alone(make, name):
    distiller = make(name).train()
    before = {key: value.clone() for key, value in distiller.teacher.state_dict().items()}
    logged = joint_loop(distiller, lr=0.).step(raw_batch())
    assert all(value.isfinite() for value in logged.values()) and logged['loss'] > 0
    data = distiller.data_preprocessor(raw_batch(), training=True)
    targets = distiller.teach(data['inputs'], data['data_samples'])
    distiller.activate(distiller.candidates[-1])
    found = distiller(**data, targets=targets, mode='loss')
    sum(value for key, value in found.items() if 'loss' in key).backward()
    assert any(p.grad is not None and p.grad.any() for p in distiller.network.parameters())
    trained = [p for p in distiller.terms.parameters() if p.requires_grad or not distiller.terms['term'].prepared]
    assert all(p.grad is not None and p.grad.any() for p in trained)
    assert all(p.grad is None for p in distiller.teacher.parameters())
    assert all(torch.equal(value, before[key]) for key, value in distiller.teacher.state_dict().items())


@pytest.mark.parametrize('name', [*REGISTERED, 'ToyConnectorLoss'])
def test_what_it_learnt_and_remembers_survives_a_checkpoint(make, name):
    trained, other = make(name), make(name)
    loop = joint_loop(trained, lr=1e-4)  # small: weights of terms differ by orders of magnitude
    for _ in range(2):
        loop.step(raw_batch())
    other.load_state_dict(trained.state_dict())
    for a, b in zip(trained.terms.state_dict().values(), other.terms.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert joint_loop(trained, lr=0.).step(raw_batch())['loss'] == joint_loop(other, lr=0.).step(raw_batch())['loss']


@pytest.mark.parametrize('name', [*REGISTERED, 'ToyConnectorLoss'])
def test_weight_zero_builds_nothing(make_distiller, monkeypatch, name):
    monkeypatch.setattr(MODELS.get(f'mmamd.{name}'), 'build', lambda *_: pytest.fail('built'))
    distiller = make_distiller(losses={'other': dict(type='mmamd.LogitLoss'), 'term': dict(
        type=f'mmamd.{name}', weight=0)}) if name != 'LogitLoss' else make_distiller(losses=terms(ce=1, logit=0))
    assert 'term' not in distiller.terms and 'logit' not in distiller.terms


@pytest.mark.parametrize('name', REGISTERED)
def test_another_term_does_not_change_its_start(settings, make_distiller, name):
    common = dict(candidates=candidates_for(name, settings), teacher=teachers_for(name, settings), seed=3)
    one = make_distiller(losses=alone(name), **common)
    torch.rand(7)  # nor what was drawn before
    two = make_distiller(losses={**TOY, **alone(name)}, **common)
    for (key, a), b in zip(one.terms['term'].state_dict().items(), two.terms['term'].state_dict().values(),
                           strict=True):
        assert torch.equal(a, b), key


def test_terms_of_other_seeds_and_names_start_otherwise(make_distiller):
    weights = [make_distiller(losses={name: TOY['toy']}, seed=seed).terms[name].connect.weight
               for name, seed in (('a', 0), ('a', 1), ('b', 0), ('a', 0))]
    assert torch.equal(weights[0], weights[3])
    assert not torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize('name', REGISTERED)
def test_of_logits_times_sixty_value_and_gradients_are_finite_under_autocast_too(make, name):
    distiller = make(name).train()
    with torch.no_grad():
        for parameter in (p for network in (distiller.network, distiller.teacher) for p in network.head.parameters()):
            parameter *= 60
    for dtype in (None, torch.bfloat16, torch.float16):
        distiller.zero_grad()
        data = distiller.data_preprocessor(raw_batch(), training=True)
        with torch.autocast('cpu', dtype=dtype, enabled=dtype is not None):
            targets = distiller.teach(data['inputs'], data['data_samples'])
            found = distiller(**data, targets=targets, mode='loss')
        losses = [value for key, value in found.items() if 'loss' in key]
        assert losses and all(value.isfinite() and value.dtype == torch.float32 for value in losses), dtype
        sum(losses).backward()
        gradients = [p.grad for p in distiller.parameters() if p.grad is not None]
        assert gradients and all(gradient.isfinite().all() for gradient in gradients), dtype


@pytest.mark.parametrize('name', [name for name in REGISTERED if MODELS.get(f'mmamd.{name}').joint])
def test_gradients_of_a_joint_step_are_the_mean_of_those_of_each_candidate_alone(make, name):
    distiller = make(name).train().double()  # some terms compare differences of what is nearly equal
    distiller.data_preprocessor.register_forward_hook(lambda _, __, data: {**data, 'inputs': data['inputs'].double()})
    data = distiller.data_preprocessor(raw_batch(), training=True)
    targets = distiller.teach(data['inputs'], data['data_samples'])
    alone = []
    for candidate in distiller.candidates:
        distiller.activate(candidate)
        found = distiller(**data, targets=targets, mode='loss')
        alone.append(gradients_of(sum(value for key, value in found.items() if 'loss' in key), distiller))
    loop = joint_loop(distiller, lr=0.)
    together = gradients_at_each_step(loop)
    loop.step(raw_batch())
    expected = {key: sum(each[key] for each in alone) / len(alone) for key in alone[0]}
    largest = max(gradient.abs().max().item() for gradient in expected.values())  # terms differ by orders of magnitude
    torch.testing.assert_close(together[0], expected, rtol=1e-6, atol=1e-9 * largest)


# --- what is refused ---

def test_a_term_that_may_not_train_several_candidates_is_refused_in_a_joint_step(settings, make_distiller):
    losses = {'mine': dict(type='mmamd.ToyAloneLoss')}
    with pytest.raises(ValueError, match='losses.mine: a ToyAloneLoss cannot train several candidates in one step, got '
                                         '3; give it weight 0 in the joint stage: joint.losses.mine.weight=0'):
        make_distiller(losses=losses)
    make_distiller(losses=losses, candidates=settings['candidates'][:1])


def test_a_parameter_that_only_some_candidates_use_is_refused(make_distiller):
    with pytest.raises(ValueError, match='terms.t.connect.bias takes no part in the loss of the candidates 0.10, 0.50, '
                                         'but in that of others'):
        make_distiller(losses={'t': dict(type='mmamd.ToyChoosyLoss')})


def test_a_term_takes_over_what_one_of_its_name_has_learnt(make_distiller, tmp_path):
    first = make_distiller(losses=TOY, seed=1)
    state = {'toy': first.terms['toy'].state_dict(), 'gone': {'x': torch.zeros(1)}}
    torch.save(state, tmp_path / 'terms.pth')
    second = make_distiller(losses=TOY, seed=2, terms_from=str(tmp_path / 'terms.pth'))
    assert torch.equal(first.terms['toy'].connect.weight, second.terms['toy'].connect.weight)
    torch.save({'toy': {'connect.weight': torch.zeros(3, 3)}}, tmp_path / 'terms.pth')
    with pytest.raises(ValueError, match='losses.toy: cannot take over what this term has learnt before'):
        make_distiller(losses=TOY, terms_from=str(tmp_path / 'terms.pth'))


def test_terms_without_parameters_cannot_be_trained_alone(make_distiller):
    with pytest.raises(ValueError, match=r"no term of \['logit'\] has parameters, so there is nothing to train"):
        make_distiller(losses=terms(logit=1), trains='losses')


def test_the_terms_alone_are_trained_where_that_is_asked_for(make_distiller):
    distiller = make_distiller(losses=TOY, trains='losses').train()
    before = {name: value.clone() for name, value in distiller.state_dict().items()}
    joint_loop(distiller, lr=0.1).step(raw_batch())
    changed = {name for name, value in distiller.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {'terms.toy.connect.weight', 'terms.toy.connect.bias', 'terms.toy.mean'}
