import json

import numpy as np
import pytest
from mmengine.registry import VISUALIZERS
from picture_toys import make_selection
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmamd.selection.npsd import standard_error
from mmamd.visualization import publish, read_run
from mmamd.visualization.candidate_table import candidate_tables

NAMES = {'selection', 'examples', 'importance', 'kept', 'loss_joint', 'loss_student', 'cost'}


@pytest.fixture
def publish_to(work_dir, tmp_path, request):
    """Function that publishes the run through the host's visualizer with one backend; returns the backend's folder."""
    def make(**backend):
        visualizer = VISUALIZERS.build(dict(type='Visualizer', name=request.node.name, save_dir=str(tmp_path / 'out'),
                                            vis_backends=[backend]))
        publish(read_run(work_dir), visualizer)
        visualizer.close()
        return tmp_path / 'out' / 'vis_data'
    return make


def test_the_table_has_a_row_a_candidate_and_no_entry_for_what_is_unknown(work_dir, unfinish):
    rows = candidate_tables(read_run(work_dir))['select']
    measurement = make_selection().measurements[2]
    assert rows[2] == dict(scale=0.75, macs=750, params=80, performance=0.76,
                           stderr=standard_error(measurement.resampled), npsd=pytest.approx(-0.16),
                           test=pytest.approx(0.66))
    assert 'npsd' not in rows[0]  # the student is not eligible
    unfinish(work_dir, 'export')
    assert all('test' not in row for row in candidate_tables(read_run(work_dir))['select'])


def test_local_files_hold_pictures_and_table(publish_to):
    folder = publish_to(type='LocalVisBackend')
    assert {path.stem.removesuffix('_0') for path in (folder / 'vis_image').iterdir()} == NAMES
    rows = [json.loads(line) for line in (folder / 'scalars.json').read_text().splitlines()]
    assert [(row['step'], row.get('selection/performance')) for row in rows] == [
        (250, 0.6), (500, 0.7), (750, 0.76), (0, None)]
    assert rows[-1] == {'outcome/teacher': 0.7, 'outcome/student': 0.63, 'step': 0}


def test_tensorboard_shows_performance_over_scale_and_the_pictures(publish_to):
    events = EventAccumulator(str(publish_to(type='TensorboardVisBackend')))
    events.Reload()
    assert set(events.Tags()['images']) == NAMES
    found = [(event.step, event.value) for event in events.Scalars('selection/performance')]
    np.testing.assert_allclose(found, [(250, 0.6), (500, 0.7), (750, 0.76)])
    assert [event.step for event in events.Scalars('selection/npsd')] == [500, 750]
    assert events.Scalars('outcome/student')[0].value == pytest.approx(0.63)


@pytest.mark.slow
def test_weights_and_biases_writes_a_run_without_the_network(publish_to, monkeypatch):
    monkeypatch.setenv('WANDB_SILENT', 'true')
    folder = publish_to(type='WandbVisBackend', init_kwargs=dict(mode='offline', project='mmamd'))
    run, = (folder / 'wandb').glob('offline-run-*')
    assert any(run.glob('*.wandb'))
    assert {path.name.rsplit('_', 2)[0] for path in (run / 'files' / 'media' / 'images').iterdir()} == NAMES
