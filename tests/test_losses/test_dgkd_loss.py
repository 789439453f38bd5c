import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmamd.distillation.losses.dgkd import DGKDLoss, dgkd_loss, left_out
from mmamd.distillation.losses.logit import logit_loss
from mmamd.distillation.outputs import Outputs

# Against a uniform student a teacher of (3/4, 1/4) has the divergence log 2 less its entropy.
UNIFORM, SURER = torch.zeros(1, 2), torch.tensor([[0.75, 0.25]]).log()
DIVERGENCE = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)


def logits(seed, num=4, classes=5):
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(3, num, classes, generator=generator, dtype=torch.float64)).unbind()


def built(num_teachers, **settings):
    term = DGKDLoss(**settings)
    term.pairs = [[] for _ in range(num_teachers)]
    torch.manual_seed(0)
    term.build(None, [None] * num_teachers, 0)
    return term


def test_value_is_the_sum_over_those_that_teach_by_hand():
    assert dgkd_loss(UNIFORM, [SURER, UNIFORM, SURER], 1.).item() == pytest.approx(2 * DIVERGENCE)


def test_temperature_divides_the_logits_and_its_square_multiplies_the_loss():
    assert dgkd_loss(UNIFORM, [5 * SURER]).item() == pytest.approx(25 * DIVERGENCE, rel=1e-5)


def test_a_student_like_all_that_teach_loses_nothing():
    student, *_ = logits(0)
    assert dgkd_loss(student, [student, student + 1]).item() == pytest.approx(0., abs=1e-9)


@given(st.integers(1, 5), st.integers(2, 6), st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_logits_times_sixty_give_finite_loss_and_gradient(num, classes, dtype):
    student, *teachers = ((20 * each).to(dtype) for each in logits(num * classes, num, classes))
    loss = dgkd_loss(student.requires_grad_(), teachers)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


def test_gradient_is_that_of_finite_differences():
    student, *teachers = logits(1)
    assert torch.autograd.gradcheck(lambda s: dgkd_loss(s, teachers, 2.), student.requires_grad_())


def test_who_is_left_out_follows_seed_and_iteration_alone_and_everyone_is_at_times():
    drawn = [left_out(3, 1, 5, i) for i in range(50)]
    assert drawn == [left_out(3, 1, 5, i) for i in range(50)] != [left_out(3, 1, 6, i) for i in range(50)]
    assert all(len(each) == 1 for each in drawn) and set.union(*drawn) == {0, 1, 2}
    assert left_out(3, 0, 5, 0) == set() and len(left_out(3, 2, 5, 0)) == 2


def test_the_mean_over_those_that_teach_is_the_functions_sum_without_those_left_out():
    student, *teachers = logits(2)
    own, *others = (Outputs(None, None, [], each, {}) for each in (student, *teachers, teachers[0]))
    term, found = built(3, temperature=2.), []
    for step in range(6):
        out, = left_out(3, 1, int(term.seed), step)
        expected = dgkd_loss(student, [other.logits for i, other in enumerate(others) if i != out], 2.)
        values = [term.compare(own, other, i) for i, other in enumerate(others)]
        torch.testing.assert_close(sum(values) / 3, expected)
        term.after_step(own, others)
        found.append(out)
    assert len(set(found)) > 1
    restored = built(3, temperature=2.)
    restored.load_state_dict(term.state_dict())
    assert int(restored.iteration) == 6


def test_with_nobody_left_out_a_distiller_of_two_teachers_logs_the_sum(make_distiller, settings):
    losses = {'dgkd': dict(type='mmamd.DGKDLoss', num_dropped=0, weight=0.5)}
    distiller = make_distiller(losses=losses, teacher=[settings['teacher']] * 2, candidates=None)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    logged = distiller.loss(images, [], distiller.teach(images, []))
    expected = logit_loss(distiller.network(images), distiller.teacher(images), 5.)
    torch.testing.assert_close(logged['1.00.loss_dgkd'], 0.5 * 2 * expected)


@pytest.mark.parametrize('wrong, message', [
    (dict(temperature=0.), 'temperature must be a positive finite number, got 0.0'),
    (dict(num_dropped=-1), 'num_dropped must be an integer of at least 0, got -1'),
    (dict(num_dropped=True), 'num_dropped must be an integer of at least 0, got True')])
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        DGKDLoss(**wrong)


def test_one_that_teaches_alone_is_never_left_out():
    student, teacher, *_ = logits(3)
    own, other = (Outputs(None, None, [], each, {}) for each in (student, teacher))
    term = built(1)
    for _ in range(3):
        torch.testing.assert_close(term.compare(own, other, 0), logit_loss(student, teacher, 5.))
        term.after_step(own, [other])


def test_with_nobody_who_teaches_there_is_no_value():
    with pytest.raises(ValueError, match='at least one network that teaches, got none'):
        dgkd_loss(UNIFORM, [])


def test_somebody_must_be_left_to_teach():
    with pytest.raises(ValueError, match='less than the number of networks that teach, 2, got 2; set num_dropped=1 or'):
        built(2, num_dropped=2)


def test_other_classes_are_refused():
    with pytest.raises(ValueError, match=r'one shape, got \(1, 2\) and \(1, 3\)'):
        dgkd_loss(UNIFORM, [torch.zeros(1, 3)])
