import math

import pytest
import torch

from mmamd.distillation.losses.distpro import Process
from mmamd.distillation.losses.distpro.normalisation import normalised
from mmamd.search.distpro import Recorder


@pytest.fixture
def term(settings, make_distiller):
    losses = {'process': dict(type='mmamd.ProcessLoss', mode='search', layers=[1, 2])}
    return make_distiller(losses=losses, candidates=settings['candidates'][-1:]).terms['process']


def test_what_was_recorded_is_a_process_that_can_be_replayed(term, settings, make_distiller, tmp_path):
    recorder, points = Recorder(term), []
    for step in (0, 10, 30):
        points.append([1 + 0.01 * step, 1., 0.5])
        term.alpha.copy_(torch.tensor(points[-1]))
        recorder.record(step)
    found = recorder.process('0123')
    assert found.steps == (0, 10, 30) and found.config_hash == '0123' and found.scale == 3.
    assert [each.name for each in found.pathways] == ['t0-s0', 't0-s1', 't1-s1']
    assert found.student_levels == ('backbone.layers.0', 'backbone.layers.1')
    torch.testing.assert_close(torch.tensor(found.alphas), torch.tensor(points))
    torch.testing.assert_close(torch.tensor(found.weights), normalised(torch.tensor(points)))
    found.write(tmp_path / 'process.json')
    assert Process.read(tmp_path / 'process.json') == found
    replay = make_distiller(losses={'process': dict(type='mmamd.ProcessLoss', layers=[1, 2],
                                                    file=str(tmp_path / 'process.json'))}).terms['process']
    assert replay.weights(1.) == term.weights(1.).tolist()


def test_its_points_are_handed_on(term):
    one, other = Recorder(term), Recorder(term)
    one.record(0)
    other.load_state_dict(one.state_dict())
    for each in (one, other):
        each.record(5)
    assert one.process() == other.process()


def test_what_cannot_be_is_refused(term):
    recorder = Recorder(term)
    recorder.record(5)
    with pytest.raises(ValueError, match='step 5 does not come after 5, which was recorded last'):
        recorder.record(5)
    term.alpha[1] = math.nan
    with pytest.raises(ValueError, match=r'the alphas are not finite at step 6: \[1.0, nan, 1.0\]; lower'):
        recorder.record(6)
