import json

import numpy as np
import pytest
from mmengine.registry import VISUALIZERS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmamd.visualization import publish, read_run

NAMES = {'selection', 'examples', 'importance', 'kept', 'loss_joint', 'loss_student', 'cost'}


@pytest.fixture
def publish_to(work_dir, tmp_path, request):
    """Function that publishes the run through the host's visualizer with one backend; returns the backend's folder."""
    def make(folder=work_dir, **backend):
        visualizer = VISUALIZERS.build(dict(type='Visualizer', name=request.node.name, save_dir=str(tmp_path / 'out'),
                                            vis_backends=[backend]))
        publish(read_run(folder), visualizer)
        visualizer.close()
        return tmp_path / 'out' / 'vis_data'
    return make


def test_local_files_hold_pictures_and_table(publish_to):
    folder = publish_to(type='LocalVisBackend')
    assert {path.stem.removesuffix('_0') for path in (folder / 'vis_image').iterdir()} == NAMES
    rows = [json.loads(line) for line in (folder / 'scalars.json').read_text().splitlines()]
    assert [(row['step'], row.get('selection/value')) for row in rows] == [
        (250, 0.6), (500, 0.7), (750, 0.76), (0, None)]
    assert {name for name in rows[2] if name.startswith('selection/')} == {f'selection/{name}' for name in (
        'scale', 'macs', 'params', 'value', 'stderr', 'npsd', 'npsd_local', 'lambda_tradeoff', 'test_value')}
    assert (rows[2]['selection/macs'], rows[2]['selection/test_value']) == (750, pytest.approx(0.66))
    assert 'selection/npsd' not in rows[0]  # the student is not eligible
    assert rows[-1] == {'outcome/teacher': 0.7, 'outcome/student': 0.63, 'step': 0}


def test_networks_of_one_scale_are_numbered(publish_to, run_by):
    rows = [json.loads(line) for line in (publish_to(run_by('MMD'), type='LocalVisBackend') / 'scalars.json')
            .read_text().splitlines()]
    assert [(row['step'], row.get('selection/value'), row.get('selection/best')) for row in rows] == [
        (0, 0.70, 0.70), (1, 0.73, 0.73), (0, None, None)]


def test_a_run_without_a_choice_publishes_its_outcome_alone(publish_to, run_by):
    rows = (publish_to(run_by('KD'), type='LocalVisBackend') / 'scalars.json').read_text().splitlines()
    assert [json.loads(row) for row in rows] == [{'outcome/teacher': 0.7, 'outcome/student': 0.63, 'step': 0}]


def test_the_picture_of_a_refit_is_published_with_the_others(publish_to, run_by):
    folder = publish_to(run_by('KD from refit'), type='LocalVisBackend')
    assert {path.stem.removesuffix('_0') for path in (folder / 'vis_image').iterdir()} >= {'refit', 'kept', 'cost'}


def test_tensorboard_shows_performance_over_scale_and_the_pictures(publish_to):
    events = EventAccumulator(str(publish_to(type='TensorboardVisBackend')))
    events.Reload()
    assert set(events.Tags()['images']) == NAMES
    found = [(event.step, event.value) for event in events.Scalars('selection/value')]
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
