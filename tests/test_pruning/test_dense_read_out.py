"""The last layer of a dense head meets the teacher's logits at every position."""

import torch
import torch.nn as nn

from mmamd.pruning.dense_read_out import POSITIONS, DenseReadOut, some_positions
from mmamd.pruning.refit import Step, refit


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
