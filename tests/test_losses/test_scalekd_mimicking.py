import pytest
import torch

from mmamd.distillation.losses.scalekd.feature_mimicking import View, mimicking_loss, views
from mmamd.distillation.losses.scalekd.spectrum import alternative, direct


def pair(dtype=torch.float32, shape=(2, 3, 2, 2)):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_value_by_hand():
    # Two positions of one sample: (3, 0) and (1, 0) are of one direction, (0, 2) and (-1, 0) at right angles: 0 and 2.
    student = torch.tensor([[[[3., 0.]], [[0., 2.]]]])
    teacher = torch.tensor([[[[1., -1.]], [[0., 0.]]]])
    assert mimicking_loss(student, teacher).item() == pytest.approx(2.)
    assert mimicking_loss(student, teacher, 'mean').item() == pytest.approx(1.)
    assert mimicking_loss(student, -student).item() == pytest.approx(8.), 'opposite directions: 4 at each position'


def test_it_is_what_the_cosines_lack_to_one_twice():
    student, teacher = pair()
    cosines = torch.cosine_similarity(student, teacher, dim=1)
    torch.testing.assert_close(mimicking_loss(student, teacher), (2 - 2 * cosines).sum() / 2)


def test_lengths_do_not_matter_and_to_the_alternative_view_nor_do_constants_of_channels():
    student, teacher = pair()
    assert mimicking_loss(7 * teacher, teacher).item() == pytest.approx(0., abs=1e-6)
    view, shift = View(alternative, 1.), torch.randn(1, 3, 1, 1)
    expected = view.compare(student, teacher, 'sum')
    torch.testing.assert_close(view.compare(student + 5 * shift, teacher, 'sum'), expected)
    torch.testing.assert_close(view.compare(student, teacher - shift, 'sum'), expected)
    assert not torch.allclose(mimicking_loss(student + 5 * shift, teacher), mimicking_loss(student, teacher))


@pytest.mark.parametrize('see', [lambda maps: maps, alternative, direct])
def test_gradient_is_that_of_finite_differences(see):
    student, teacher = pair(torch.float64)
    view = View(see, 0.3)
    assert torch.autograd.gradcheck(lambda s: view.compare(s, teacher, 'sum'), student.requires_grad_())


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_large_states_give_finite_loss_and_gradient(dtype):
    student, teacher = (6000 * pair(shape=(2, 64, 4, 4))).to(dtype)
    loss = View(alternative, 1.).compare(student.requires_grad_(), teacher, 'sum')
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize('options, expected', [
    (dict(dfm=False), dict(original=2.)), (dict(), dict(original=0.5, alternative=1.5)),
    (dict(dfm=False, dual_path=True), dict(original=0.5, second=1.5)), (dict(beta=1.), dict(original=2.)),
    (dict(beta=0.), dict(alternative=2.))])
def test_views_share_alpha_by_beta(options, expected):
    found = views(**dict(alpha=2., beta=0.25, dfm=True, dual_path=False, first_view='all') | options)
    assert {name: view.factor for name, view in found.items()} == expected


def test_what_each_view_sees():
    maps = pair()[0]
    see = {name: view.see(maps) for name, view in views(1., 0.5, dfm=True, dual_path=False, first_view='all').items()}
    assert torch.equal(see['original'], maps) and torch.equal(see['alternative'], alternative(maps))
    assert torch.equal(views(1., 0.5, dfm=False, dual_path=True, first_view='all')['second'].see(maps), maps)
    first = views(1., 0.5, dfm=True, dual_path=False, first_view='dir')['original']
    assert torch.equal(first.see(maps), direct(maps))
