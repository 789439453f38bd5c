"""What is sent to TensorBoard lies in one folder, each stage as a run of its own."""

import pytest
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmamd.pipeline.stage_runner import build_stage_runner
from mmamd.pipeline.stages import clear_folders
from mmamd.pipeline.tensorboard import in_one_folder

BACKEND = dict(type='TensorboardVisBackend')


@MODELS.register_module()
class NothingToTrain(BaseModel):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs


@pytest.mark.parametrize('stage, place', [('student', 'student'), ('export_teacher', 'export/teacher')])
def test_each_stage_writes_into_its_part_of_one_folder(stage, place, tmp_path):
    runner = build_stage_runner(
        dict(model=dict(type='NothingToTrain'), visualizer=dict(type='Visualizer', vis_backends=[
            dict(type='LocalVisBackend'), BACKEND])), stage, tmp_path / place.split('/')[0])
    runner.visualizer.add_scalar('loss', 0.5, step=3)
    runner.visualizer.close()
    events = EventAccumulator(str(tmp_path / 'tensorboard' / place))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars('loss')] == [(3, 0.5)]
    local, = tmp_path.glob(f'{place.split("/")[0]}/*/vis_data/scalars.json')  # where the losses of the report are read
    assert '"loss": 0.5' in local.read_text()
    clear_folders(tmp_path, place.split('/')[0])
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == []


def test_a_folder_of_ones_own_and_the_settings_are_left_alone(tmp_path):
    settings = dict(type='Visualizer', vis_backends=[BACKEND, dict(BACKEND, save_dir='mine')])
    found = in_one_folder(settings, tmp_path, 'joint')
    assert [each['save_dir'] for each in found['vis_backends']] == [str(tmp_path / 'tensorboard' / 'joint'), 'mine']
    assert settings['vis_backends'][0] == BACKEND == dict(type='TensorboardVisBackend')
    assert in_one_folder(dict(type='Visualizer'), tmp_path, 'joint') == dict(type='Visualizer')
