import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmamd.distillation.losses import FeatureLoss
from mmamd.distillation.losses.feature import feature_loss, resolve_layers
from mmamd.registry import MODELS


def test_value_by_hand():
    # Layer 0 differs by 1 in each of 4 elements: 1. Layer 1 by 2 in one of 4 elements: 4 / 4 = 1. Layer 2: 0, 9 -> 4.5.
    student = [torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), torch.zeros(1, 1, 2)]
    teacher = [torch.ones(1, 2, 2), torch.tensor([[[2.0, 0], [0, 0]]]), torch.tensor([[[0.0, 3.0]]])]
    assert feature_loss(student, teacher).item() == pytest.approx((1 + 1 + 4.5) / 3)


def test_every_layer_counts_alike_whatever_its_number_of_elements():
    small, large = torch.ones(1, 1, 1), torch.zeros(1, 10, 10)
    assert feature_loss([small, large], [2 * small, large]).item() == pytest.approx(0.5)


def test_normalized_tokens_are_compared_by_direction_alone():
    # Token (3, 4) has direction (.6, .8), token (1, 0) its own: squared differences .16 and .64, mean .4.
    student, teacher = torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[1.0, 0.0]]])
    assert feature_loss([student], [teacher], normalize=True).item() == pytest.approx(0.4)
    assert feature_loss([5 * student], [0.1 * teacher], normalize=True).item() == pytest.approx(0.4)


def test_maps_are_normalized_over_their_channels():
    tokens = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    maps = tokens.transpose(1, 2).reshape(2, 3, 2, 3)  # (N, D, H, W)
    torch.testing.assert_close(feature_loss([maps], [maps.flip(1)], normalize=True),
                               feature_loss([tokens], [tokens.flip(2)], normalize=True))


def test_half_precision_states_do_not_overflow():
    student, teacher = torch.zeros(1, 2, 2, dtype=torch.float16), torch.full((1, 2, 2), 300.0, dtype=torch.float16)
    assert feature_loss([student], [teacher]).item() == 90000  # above the largest float16, 65504


@pytest.mark.parametrize('normalize', [False, True])
def test_equal_states_lose_nothing(normalize):
    states = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert feature_loss(list(states), list(states), normalize).item() == 0


@pytest.mark.parametrize('normalize', [False, True])
def test_gradient_is_that_of_finite_differences(normalize):
    student, teacher = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: feature_loss([x], [teacher], normalize), student.requires_grad_())


@pytest.mark.parametrize('normalize', [False, True])
def test_large_states_give_finite_loss_and_gradient(normalize):
    student, teacher = 60 * torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    loss = feature_loss([student.requires_grad_()], [teacher], normalize)
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize('student, teacher', [([], []), ([torch.zeros(1)], []), ([torch.zeros(1)] * 2,
                                                                                 [torch.zeros(1)] * 3)])
def test_both_networks_must_give_the_same_layers(student, teacher):
    with pytest.raises(ValueError, match=f'got {len(student)} states of the student and {len(teacher)} of the teacher'):
        feature_loss(student, teacher)


def test_states_of_another_shape_are_refused_rather_than_broadcast():
    same = torch.zeros(2, 5, 8)
    with pytest.raises(ValueError, match=r'state 1 of the student has shape \(2, 5, 1\), of the teacher \(2, 5, 8\)'):
        feature_loss([same, torch.zeros(2, 5, 1)], [same, same])


@pytest.mark.parametrize('num_blocks, expected', [
    (1, [0, 1]),
    (6, [0, 1, 2, 3, 4, 5, 6]),
    (7, [0, 1, 2, 3, 4, 5, 6, 7]),
    # i * 12 / 7 = 1.71, 3.43, 5.14, 6.86, 8.57, 10.29, 12
    (12, [0, 2, 3, 5, 7, 9, 10, 12]),
    # i * 24 / 7 = 3.43, 6.86, 10.29, 13.71, 17.14, 20.57, 24
    (24, [0, 3, 7, 10, 14, 17, 21, 24])])
def test_auto_takes_the_embedding_and_seven_evenly_spaced_blocks(num_blocks, expected):
    assert resolve_layers('auto', num_blocks) == expected


@given(st.integers(1, 200))
def test_auto_layers_ascend_evenly_from_the_embedding_to_the_last_block(num_blocks):
    layers = resolve_layers('auto', num_blocks)
    gaps = {b - a for a, b in zip(layers, layers[1:], strict=False)}
    assert layers[0] == 0 and layers[-1] == num_blocks and len(layers) == min(num_blocks, 7) + 1
    assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1


def test_explicit_layers_are_kept_in_their_order():
    assert resolve_layers([12, 0, 6], 12) == [12, 0, 6]
    assert resolve_layers((3,), 3) == [3]


@pytest.mark.parametrize('spec, match', [
    ([0, 13], 'layers has 13, .* within 0..12'),
    ([-1], 'layers has -1, .* within 0..12'),
    ([1.0], 'layers has 1.0'),
    ([True], 'layers has True'),
    ([3, 6, 3], r'layers has \[3\] more than once'),
    ([], 'layers is empty'),
    ('last', "got 'last'")])
def test_layers_that_do_not_exist_are_refused(spec, match):
    with pytest.raises(ValueError, match=match):
        resolve_layers(spec, 12)


def test_a_network_without_blocks_is_refused():
    with pytest.raises(ValueError, match='num_blocks must be at least 1, got 0'):
        resolve_layers('auto', 0)


def test_term_is_built_from_a_config_and_calls_the_functions(make_distiller):
    term = MODELS.build(dict(type='mmamd.FeatureLoss', layers=[0, 2], normalize=True))
    distiller = make_distiller(losses={'only': dict(type='mmamd.FeatureLoss', layers=[0, 2], normalize=True)})
    assert term.watches(distiller.network, distiller.teacher) == [(name, name) for name in (
        'backbone.pre_norm', 'backbone.layers.1')]
    images = torch.randn(2, 3, 8, 8)
    distiller.eval()
    student = distiller.run(images, None)
    teacher, = distiller.teach(images, None)
    expected = feature_loss(list(student.states.values()), list(teacher.states.values()), normalize=True)
    assert distiller.terms['only'].compare(student, teacher, 0) == expected


def test_another_architecture_is_told_to_name_pairs():
    plain = torch.nn.Sequential()
    with pytest.raises(ValueError, match=r"needs layers=\[\('<its module>', '<the teacher's>'\).*got layers='auto'"):
        FeatureLoss().watches(plain, plain)
