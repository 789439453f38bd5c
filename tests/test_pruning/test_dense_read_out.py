"""The last layer of a dense head meets the teacher's logits at every position.

Shapes: M equations (positions of images), K inputs, C classes.
"""

import copy

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmamd.pruning.dense_read_out import POSITIONS, DenseReadOut, some_positions
from mmamd.pruning.least_squares import Solution
from mmamd.pruning.refit import LinearStep, Step, refit
from mmamd.pruning.shared_refit import joint_steps, nested_steps


def test_a_head_over_a_stream_that_was_scaled_is_made_good():
    torch.manual_seed(0)
    teacher, network = (nn.Sequential(nn.Dropout2d(0.5), nn.Conv2d(4, 3, 1)).eval() for _ in range(2))
    network.load_state_dict(teacher.state_dict())
    steps = [[Step('body', body), DenseReadOut('head', head[1], head)] for body, head in (
        (lambda x: x, teacher), (lambda x: 2 * x + 1, network))]
    images = [torch.randn(5, 4, 6, 7)]
    record = refit(steps[0], {'one': steps[1]}, images, ridge=1e-9)['one']
    torch.testing.assert_close(network(2 * images[0] + 1), teacher(images[0]), rtol=1e-3, atol=1e-3)
    before, after = record.errors['head']
    assert after < 1e-6 < before
    assert record.macs == 5 * 42 * 4 * (4 + 3)


def test_of_a_large_map_some_positions_are_taken_always_the_same():
    chosen = some_positions(1000, torch.device('cpu'))
    assert len(set(chosen.tolist())) == POSITIONS and chosen.equal(some_positions(1000, torch.device('cpu')))
    assert sorted(some_positions(5, torch.device('cpu')).tolist()) == [0, 1, 2, 3, 4]


def test_leading_inputs_stay_where_the_later_ones_are_solved():
    conv = nn.Conv2d(4, 3, 1)
    before, found = copy.deepcopy(conv), Solution(torch.randn(3, 3).double(), None, 0., 0., 0.)
    with torch.no_grad():
        DenseReadOut('head', conv, conv).assign(found, None, first=1)
    assert torch.equal(conv.weight[:, :1], before.weight[:, :1]) and torch.equal(conv.bias, before.bias)
    assert torch.equal(conv.weight[:, 1:].flatten(1), found.weight_KC.T.float())


# --- of candidates that share their weights ---

class Branch(LinearStep):
    """``x + W f(x) + b`` at each position of a map, of which the first of four units are active."""

    def enter(self, x):
        return x.movedim(1, -1).square()[..., :self.num_inputs]

    def close(self, inner, x):
        return x + F.linear(inner, self.linear.weight[:, :self.num_inputs], self.linear.bias).movedim(-1, 1)

    def equations(self, inner, x, target):
        return inner.flatten(0, -2), (target - x).movedim(1, -1).flatten(0, -2)


class Toy:
    """A stem, a branch and a head, in double precision."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.last, self.head = nn.Linear(4, 4).double(), nn.Conv2d(4, 3, 1).double()
        for parameter in (*self.last.parameters(), *self.head.parameters()):
            nn.init.normal_(parameter, generator=generator)
        self.activate(4)

    def activate(self, num):
        self.num = num

    def steps(self):
        return [Step('stem', lambda x: x), Branch('branch', self.last, self.num),
                DenseReadOut('head', self.head, self.head)]


CANDIDATES = {'small': 1, 'large': 3}
WIDTHS = pytest.mark.parametrize('width', [2, 4, 7])  # below, as and above the number of the head's inputs


def images_of(width):
    return [torch.randn(5, 4, 3, width, generator=torch.Generator().manual_seed(i)).double() for i in range(2)]


def refitted(width, steps_of, **candidates):
    """The toy with its candidates refitted together, and what was found; ``steps_of`` is of one network by its key."""
    toy, teacher = Toy(), Toy()
    records = refit(teacher.steps(), steps_of(candidates, toy.activate, toy.steps), images_of(width))
    return toy, records


def alone(candidates, activate, steps):
    (key, num), = candidates.items()
    activate(num)
    return {key: steps()}


def together(*arguments):
    return {'together': joint_steps(*arguments)}


def assert_same(toy, other):
    for own, expected in ((toy.last, other.last), (toy.head, other.head)):
        torch.testing.assert_close(own.weight, expected.weight, rtol=0, atol=1e-12)
        torch.testing.assert_close(own.bias, expected.bias, rtol=0, atol=1e-12)


@WIDTHS
@pytest.mark.parametrize('shared', [nested_steps, together])
def test_one_candidate_is_refitted_as_it_would_be_alone(shared, width):
    toy, _ = refitted(width, shared, large=3)
    own, _ = refitted(width, alone, large=3)
    assert_same(toy, own)
    assert not torch.allclose(toy.head.weight, Toy().head.weight)


@WIDTHS
def test_of_nested_candidates_the_head_is_the_smallest_ones(width):
    toy, records = refitted(width, nested_steps, **CANDIDATES)
    own, _ = refitted(width, alone, small=1)
    torch.testing.assert_close(toy.head.weight, own.head.weight, rtol=0, atol=1e-12)
    torch.testing.assert_close(toy.head.bias, own.head.bias, rtol=0, atol=1e-12)
    assert [list(record.errors) for record in records.values()] == [['branch', 'head'], ['branch']]


@WIDTHS
def test_together_the_head_solves_the_equations_of_all_candidates(width):
    # Against the closed form on the rows about their means: (H'H + lam) W = H't + lam W_0.
    toy, records = refitted(width, together, **CANDIDATES)
    teacher, image = Toy(), torch.cat(images_of(width))
    with torch.no_grad():
        streams = [Branch('branch', toy.last, num).run(image)[0] for num in CANDIDATES.values()]
        h_MK = torch.cat(streams).movedim(1, -1).flatten(0, -2)
        target = teacher.head(teacher.steps()[1].run(image)[0])
        t_MC = torch.cat([target] * 2).movedim(1, -1).flatten(0, -2)
        start_KC, h_K, t_C = teacher.head.weight.flatten(1).T, h_MK.mean(0), t_MC.mean(0)
        gram_KK = (h_MK - h_K).T @ (h_MK - h_K)
        lam = 1e-3 * gram_KK.trace() / 4
        weight_KC = torch.linalg.solve(gram_KK + lam * torch.eye(4).double(),
                                       (h_MK - h_K).T @ (t_MC - t_C) + lam * start_KC)
    torch.testing.assert_close(toy.head.weight.flatten(1).T, weight_KC, rtol=0, atol=1e-7)
    torch.testing.assert_close(toy.head.bias, t_C - h_K @ weight_KC, rtol=0, atol=1e-7)
    before, after = records['together'].errors['head']
    assert after < before
