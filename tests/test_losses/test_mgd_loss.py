import math

import pytest
import torch
from pairs import STAGES, built, cnn_distiller, external_distiller, steps
from torch import nn

from mmamd.distillation.generation import MaskSeed
from mmamd.distillation.losses.mgd import MGDLoss, mgd_loss


def test_value_by_hand():
    # Sample 1: differences 1 and 2, squares 1 + 4. Sample 2: 3 and 0, 9. Sum 14 over 2 samples.
    generated, teacher = torch.zeros(2, 1, 1, 2), torch.tensor([[[[1., 2.]]], [[[3., 0.]]]])
    assert mgd_loss(generated, teacher).item() == pytest.approx(7.)
    assert mgd_loss(teacher, teacher).item() == 0.


def test_gradient_is_that_of_finite_differences():
    generated, teacher = torch.randn(2, 2, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda g: mgd_loss(g, teacher), generated.requires_grad_())


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_large_states_give_finite_loss_and_gradient(dtype):
    generated, teacher = (60 * torch.randn(2, 2, 8, 4, 4, generator=torch.Generator().manual_seed(0))).to(dtype)
    loss = mgd_loss(generated.requires_grad_(), teacher)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and generated.grad.isfinite().all()


def passed_through(term):
    """The term with a connector and a generator that change nothing, so that masks are seen."""
    nn.init.eye_(term.connectors[0].weight)
    nn.init.zeros_(term.connectors[0].bias)
    term.generators[0] = nn.Identity()
    return term


@pytest.mark.parametrize('along, dims, whole', [('channels', (2, 3), 64), ('positions', (1,), 50)])
def test_what_is_hidden_of_a_state_is_what_is_lost_of_it(along, dims, whole):
    ones = torch.ones(100, 50, 8, 8)
    term, student, teacher = built(MGDLoss(along=along, share=0.25), {'a': ones}, {'b': ones})
    seen = []
    term.generators[0] = nn.Identity()
    passed_through(term).generators[0].register_forward_hook(lambda _, args, __: seen.append(args[0]))
    lost = term.compare(student, teacher, 0).item()
    # A quarter of 50 * 64 ones a sample; the deviation is that of some thousand draws.
    assert lost == pytest.approx(0.25 * 50 * 64, rel=0.05)
    sums = seen[0].sum(dim=dims)
    assert torch.isclose(sums, torch.zeros(())).logical_or(torch.isclose(sums, torch.tensor(float(whole)))).all()


def test_masks_follow_from_seed_step_and_teacher_alone():
    torch.manual_seed(1)
    masks, state = MaskSeed(), torch.get_rng_state()
    first = masks.rand(4, 3, progress=0.25, index=0)
    assert torch.equal(state, torch.get_rng_state()), 'nothing else that draws is disturbed'
    assert torch.equal(masks.rand(4, 3, progress=0.25, index=0), first)
    others = [masks.rand(4, 3, progress=0.5, index=0), masks.rand(4, 3, progress=0.25, index=1),
              MaskSeed().rand(4, 3, progress=0.25, index=0)]
    assert not any(torch.equal(other, first) for other in others)


def test_each_of_a_genomes_transforms_draws_by_its_slot_and_place_alone():
    masks = MaskSeed()
    drawn = [masks.for_transforms(0.25, place)(slot, 4, 3) for place in range(2) for slot in range(3)]
    for index, each in enumerate(drawn):
        assert torch.equal(each, masks.rand(4, 3, progress=0.25, index=index))


def test_a_resumed_run_masks_as_an_uninterrupted_one(make_distiller):
    terms = []
    for _ in range(2):
        distiller = make_distiller(losses={'mgd': dict(type='mmamd.MGDLoss')}, seed=3)
        torch.rand(5)  # what was drawn between
        terms.append(distiller.terms['mgd'].masks.rand(2, 3, progress=0.5, index=0))
    assert torch.equal(*terms)


def test_a_narrower_candidate_uses_the_leading_channels():
    maps = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    term, student, teacher = built(MGDLoss(), {'a': maps}, {'b': torch.randn(2, 5, 3, 3)})
    whole = maps.clone()
    whole[:, 2:] = 0
    values = []
    for state in (whole, maps[:, :2]):
        student.states['a'] = state
        values.append(term.compare(student, teacher, 0))
    torch.testing.assert_close(*values)


def test_pairs_of_transformers_of_cnns_and_of_two_architectures_are_trained(make_distiller):
    for distiller in (make_distiller(losses={'mgd': dict(type='mmamd.MGDLoss')}),
                      cnn_distiller({'mgd': dict(type='mmamd.MGDLoss', along='positions')}),
                      external_distiller({'mgd': dict(type='mmamd.MGDLoss', layer=STAGES[1])})):
        assert all(value > 0 and math.isfinite(value) for value in steps(distiller))
    assert MGDLoss().weight == 7e-5


@pytest.mark.parametrize('wrong, message', [
    (dict(share=1.), r'share must lie in \(0, 1\), got 1.0; it is the part that is masked'),
    (dict(along='tokens'), "along must be 'channels' or 'positions', got 'tokens'"),
    (dict(layer='first'), "layer must be 'last' or a pair of names of modules.*got 'first'")])
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MGDLoss(**wrong)


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"needs layer=\('<its module>', '<the teacher's>'\)"):
        MGDLoss().watches(nn.Sequential(), nn.Sequential())
    with pytest.raises(ValueError, match=r"cannot compare 'a' of the student.*name modules whose outputs are equally"):
        built(MGDLoss(), {'a': torch.zeros(1, 3, 4, 4)}, {'b': torch.zeros(1, 3, 2, 2)})
