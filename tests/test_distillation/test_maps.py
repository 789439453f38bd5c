import re

import pytest
import torch
from torch import nn

from mmamd.distillation.maps import as_maps, check_positions, grid_of, in_form
from mmamd.distillation.outputs import Outputs

SQUARE = torch.zeros(2, 3, 8, 8)


def left(name, shape):
    """What a network has left of square images."""
    return Outputs(nn.Sequential(), SQUARE, [], None, {name: torch.zeros(shape)})


@pytest.mark.parametrize('num_extra', [0, 1, 2])
def test_tokens_become_maps_row_by_row_without_those_that_have_no_position(num_extra):
    # Of 2 x 2 positions number 10 y + x stands at (y, x).
    tokens = torch.tensor([[*[-1.] * num_extra, 0., 1., 10., 11.]]).unsqueeze(2) * torch.tensor([1., 2.])
    assert tokens.shape == (1, num_extra + 4, 2)
    assert as_maps(tokens, SQUARE).tolist() == [[[[0, 1], [10, 11]], [[0, 2], [20, 22]]]]


def test_rows_of_an_image_that_is_no_square_stay_rows():
    # 2 x 4 positions and a class token are as many as 3 x 3, and four rows of two are as many as two of four.
    tokens = torch.tensor([-1., 0., 1., 2., 3., 10., 11., 12., 13.]).view(1, 9, 1)
    assert as_maps(tokens, torch.zeros(1, 3, 16, 32)).tolist() == [[[[0, 1, 2, 3], [10, 11, 12, 13]]]]
    assert as_maps(tokens, torch.zeros(1, 3, 32, 16)).shape == (1, 1, 4, 2)
    assert as_maps(tokens, torch.zeros(1, 3, 24, 24)).shape == (1, 1, 3, 3)


@pytest.mark.parametrize('num_tokens, side', [(1, 1), (2, 1), (3, 1), (196, 14), (197, 14), (198, 14), (49, 7),
                                              (14, 3), (261, 16)])
def test_the_number_of_tokens_says_how_many_have_no_position(num_tokens, side):
    assert grid_of(num_tokens, (224, 224)) == (side, side)


@pytest.mark.parametrize('size', [(180, 240), (512, 1024), (360, 480), (96, 128), (224, 224), (513, 769)])
@pytest.mark.parametrize('patch', [4, 8, 14, 16, 32])
@pytest.mark.parametrize('num_extra', [0, 1, 2])
def test_the_grid_is_that_of_patches_which_cut_or_pad_the_image(size, patch, num_extra):
    height, width = size
    for grid in ((height // patch, width // patch), (-(-height // patch), -(-width // patch))):
        assert grid_of(grid[0] * grid[1] + num_extra, size) == grid


def test_no_two_squares_leave_the_number_of_extra_tokens_open():
    # 1 = 1 + 0 = 0 + 1, and an image without tokens is none; from there on squares are three and more apart. With five
    # more 1 x 1 is taken for 2 x 2 with two more and 2 x 2 for 3 x 3, which are no images to have registers for.
    squares = {side**2 + extra for side in range(1, 40) for extra in range(3)}
    assert len(squares) == 39 * 3
    assert len(squares | {side**2 + 5 for side in range(3, 40)}) == 39 * 3 + 37


def test_maps_are_left_as_they_are():
    maps = torch.zeros(2, 3, 4, 5)
    assert as_maps(maps, SQUARE) is maps


@pytest.mark.parametrize('shape', [(2, 3), (2, 7, 3), (2, 0, 3), (2,)])
def test_other_states_are_refused(shape):
    with pytest.raises(ValueError, match=rf'shape {re.escape(str(shape))} cannot be made maps.*; .*name a module'):
        as_maps(torch.zeros(shape), SQUARE)


def test_tokens_and_maps_of_the_same_positions_may_be_compared():
    check_positions(('own', 'other'), left('own', (2, 17, 3)), left('other', (2, 8, 4, 4)))


def test_maps_of_other_positions_are_refused_by_the_names_of_their_modules():
    with pytest.raises(ValueError, match=r"'own' of the student, whose maps are \(4, 4\), with 'other' of the teacher, "
                                         r'whose maps are \(2, 2\).*name modules whose maps are equally large'):
        check_positions(('own', 'other'), left('own', (2, 17, 3)), left('other', (2, 8, 2, 2)))


def test_a_state_that_a_form_refuses_is_named():
    with pytest.raises(ValueError, match="'other' of the teacher: a state of shape"):
        in_form(as_maps, ('own', 'other'), left('own', (2, 17, 3)), left('other', (2, 8)))
