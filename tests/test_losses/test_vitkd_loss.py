import math

import pytest
import torch
from pairs import built, steps
from torch import nn

from mmamd.distillation.losses.vitkd import ViTKDLoss, generation_loss, hidden_positions, mimic_loss


def tokens(seed, channels=3, num=5):
    return torch.randn(2, num, channels, generator=torch.Generator().manual_seed(seed))


def test_mimicking_by_hand():
    # Layer 1: differences 1, 2 in sample 1 and 0, 0 in sample 2: 5 / 2. Layer 2: 3, 0 and 1, 1: 11 / 2.
    students = [torch.zeros(2, 2, 1, 1), torch.zeros(2, 2, 1, 1)]
    teachers = [torch.tensor(rows).view(2, 2, 1, 1) for rows in ([[1., 2.], [0., 0.]], [[3., 0.], [1., 1.]])]
    assert mimic_loss(students, teachers).item() == pytest.approx(8.)
    assert mimic_loss(teachers, teachers).item() == 0.


def test_generation_by_hand_counts_hidden_positions_alone():
    # One sample, two positions: 9 at the hidden one, by the share 0.5, and 16 at the other, which does not count.
    generated, teacher = torch.zeros(1, 1, 1, 2), torch.tensor([[[[3., 4.]]]])
    hidden = torch.tensor([[[[True, False]]]])
    assert generation_loss(generated, teacher, hidden, 0.5).item() == pytest.approx(18.)
    assert generation_loss(teacher, teacher, hidden, 0.5).item() == 0.


@pytest.mark.parametrize('num, share, expected', [(4, 0.5, 2), (196, 0.5, 98), (5, 0.5, 3), (4, 0.1, 1), (4, 0.9, 4)])
def test_as_many_positions_are_hidden_in_every_sample(num, share, expected):
    # All but floor(L (1 - share)): 4 - 2, 196 - 98, 5 - 2, 4 - 3, 4 - 0.
    hidden = hidden_positions(torch.rand(7, num, generator=torch.Generator().manual_seed(0)), share)
    assert hidden.sum(dim=1).tolist() == [expected] * 7


def test_gradients_are_those_of_finite_differences():
    student, teacher = torch.randn(2, 2, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hidden = torch.tensor([True, False, False, True]).view(1, 1, 2, 2)
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: mimic_loss([s], [teacher]), student)
    assert torch.autograd.gradcheck(lambda s: generation_loss(s, teacher, hidden, 0.5), student)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_large_states_give_finite_loss_and_gradient(dtype):
    student, teacher = (60 * torch.randn(2, 2, 8, 4, 4, generator=torch.Generator().manual_seed(0))).to(dtype)
    hidden = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    loss = mimic_loss([student.requires_grad_()], [teacher]) + generation_loss(student, teacher, hidden, 0.5)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


def test_the_first_two_blocks_and_the_last_one_of_one_architecture_are_compared(make_distiller):
    # Of two blocks, the second is the last.
    names = [('backbone.layers.0', 'backbone.layers.0'), *[('backbone.layers.1', 'backbone.layers.1')] * 2]
    distiller = make_distiller(losses={'vitkd': dict(type='mmamd.ViTKDLoss')})
    term = distiller.terms['vitkd']
    assert term.pairs == [names]
    assert not [name for name, _ in term.named_parameters() if 'connectors' in name], 'of one width nothing is mapped'
    assert all(value > 0 and math.isfinite(value) for value in steps(distiller))


def build(**options):
    return built(ViTKDLoss(shallow=[('a', 'a')], deep=('b', 'b'), **options), {'a': tokens(0), 'b': tokens(1)},
                 {'a': tokens(2, 4), 'b': tokens(3, 4)})


def test_a_linear_map_joins_two_widths():
    term, student, teacher = build(alpha=2., beta=0.)
    (own, other), connect = (each.states['a'][:, 1:] for each in (student, teacher)), term.branches[0].connectors[0]
    expected = (own @ connect.weight.T + connect.bias - other).square().sum() / 2
    torch.testing.assert_close(term.compare(student, teacher, 0)['loss_mimic'], 2 * expected)


def test_class_tokens_are_not_compared():
    term, student, teacher = build()
    before = term.compare(student, teacher, 0)
    for states in (student.states, teacher.states):
        for state in states.values():
            state[:, 0] += 5
    assert term.compare(student, teacher, 0) == before


def test_hidden_patches_are_replaced_by_the_token():
    term, student, teacher = build(share=0.9)  # all four: floor(4 * 0.1) = 0 stay
    branch, seen = term.branches[0], []
    nn.init.constant_(branch.mask_token, 7.)
    branch.generator.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    term.compare(student, teacher, 0)
    assert torch.equal(seen[0], torch.full((2, 4, 2, 2), 7.))


def test_masks_are_drawn_anew_at_another_step_and_alike_at_the_same():
    term, student, teacher = built(ViTKDLoss(shallow=[('a', 'a')], deep=('a', 'a')), {'a': tokens(0, num=101)},
                                   {'a': tokens(1, num=101)})
    first, again = (term.compare(student, teacher, 0)['loss_generate'] for _ in range(2))
    student.progress = 0.5
    assert first == again != term.compare(student, teacher, 0)['loss_generate']


def test_two_architectures_are_trained_by_the_pairs_that_are_named(make_distiller, network_settings):
    wide = dict(network_settings, backbone=dict(network_settings['backbone'], arch=dict(
        embed_dims=12, num_layers=3, num_heads=2, feedforward_channels=6)), head=dict(
            network_settings['head'], in_channels=12))
    blocks = [(f'backbone.layers.{i}', f'backbone.layers.{i}') for i in range(2)]
    losses = {'vitkd': dict(type='mmamd.ViTKDLoss', shallow=blocks, deep=('backbone.layers.1', 'backbone.layers.2'))}
    preprocessor = dict(num_classes=3, mean=[100.] * 3, std=[50.] * 3)
    distiller = make_distiller(losses=losses, candidates=None, start=None, teacher=dict(
        architecture=dict(wide, data_preprocessor=preprocessor), weights=None))
    assert all(map(math.isfinite, steps(distiller)))
    assert distiller.terms['vitkd'].branches[0].connectors[0].weight.shape == (12, 8)


@pytest.mark.parametrize('wrong, message', [
    (dict(share=0.), r'share must lie in \(0, 1\), got 0.0'), (dict(alpha=-1.), 'alpha must be a finite number >= 0'),
    (dict(beta=math.inf), 'beta must be a finite number >= 0, got inf'),
    (dict(deep=('a', 'b')), 'shallow must be pairs of modules and deep one, or both None, got shallow=None and deep'),
    (dict(shallow=[], deep=('a', 'b')), 'shallow must be pairs of modules and deep one, or both None, got shallow=..')])
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ViTKDLoss(**wrong)


def test_pairs_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match='a student of another architecture needs shallow='):
        ViTKDLoss().watches(nn.Sequential(), nn.Sequential())
    with pytest.raises(ValueError, match=r"compares tokens \(N, L, C\), got .* use mmamd.MGDLoss for maps"):
        built(ViTKDLoss(), {'a': torch.zeros(1, 3, 4, 4)}, {'b': torch.zeros(1, 3, 4, 4)})
    with pytest.raises(ValueError, match="cannot compare 'a' of the student"):
        built(ViTKDLoss(), {'a': torch.zeros(1, 17, 3)}, {'b': torch.zeros(1, 5, 3)})
