import re

import pytest
import torch

from mmamd.distillation.maps import as_maps, check_positions, in_form


@pytest.mark.parametrize('num_extra', [0, 1, 2])
def test_tokens_become_maps_row_by_row_without_those_that_have_no_position(num_extra):
    # Six positions would be no square; of 2 x 2 positions number 10 y + x stands at (y, x).
    tokens = torch.tensor([[*[-1.] * num_extra, 0., 1., 10., 11.]]).unsqueeze(2) * torch.tensor([1., 2.])
    assert tokens.shape == (1, num_extra + 4, 2)
    assert as_maps(tokens).tolist() == [[[[0, 1], [10, 11]], [[0, 2], [20, 22]]]]


@pytest.mark.parametrize('num_tokens, side', [(1, 1), (2, 1), (3, 1), (196, 14), (197, 14), (198, 14), (49, 7),
                                              (14, 3), (261, 16)])
def test_the_number_of_tokens_says_how_many_have_no_position(num_tokens, side):
    assert as_maps(torch.zeros(2, num_tokens, 3)).shape == (2, 3, side, side)


def test_no_two_squares_leave_the_number_of_extra_tokens_open():
    # 1 = 1 + 0 = 0 + 1, and an image without tokens is none; from there on squares are three and more apart. With five
    # more 1 x 1 is taken for 2 x 2 with two more and 2 x 2 for 3 x 3, which are no images to have registers for.
    squares = {side**2 + extra for side in range(1, 40) for extra in range(3)}
    assert len(squares) == 39 * 3
    assert len(squares | {side**2 + 5 for side in range(3, 40)}) == 39 * 3 + 37


def test_maps_are_left_as_they_are():
    maps = torch.zeros(2, 3, 4, 5)
    assert as_maps(maps) is maps


@pytest.mark.parametrize('shape', [(2, 3), (2, 7, 3), (2, 0, 3), (2,)])
def test_other_states_are_refused(shape):
    with pytest.raises(ValueError, match=rf'shape {re.escape(str(shape))} cannot be made maps; .*name a module'):
        as_maps(torch.zeros(shape))


def test_tokens_and_maps_of_the_same_positions_may_be_compared():
    check_positions(('own', 'other'), torch.zeros(2, 17, 3), torch.zeros(2, 8, 4, 4))


def test_maps_of_other_positions_are_refused_by_the_names_of_their_modules():
    with pytest.raises(ValueError, match=r"'own' of the student, whose maps are \(4, 4\), with 'other' of the teacher, "
                                         r'whose maps are \(2, 2\).*name modules whose maps are equally large'):
        check_positions(('own', 'other'), torch.zeros(2, 17, 3), torch.zeros(2, 8, 2, 2))


def test_a_state_that_a_form_refuses_is_named():
    with pytest.raises(ValueError, match="'other' of the teacher: a state of shape"):
        in_form(as_maps, ('own', 'other'), torch.zeros(2, 17, 3), torch.zeros(2, 8))
