"""A whole run by ScaleKD, into a student of another architecture: its cost, its files, what its report shows."""

import json

import pytest

import mmamd
from mmamd.visualization import make_pictures, read_run

MIXER = dict(
    type='ImageClassifier',
    backbone=dict(type='MlpMixer', img_size=8, patch_size=2, arch=dict(
        embed_dims=16, num_layers=2, tokens_mlp_dims=16, channels_mlp_dims=32)),
    neck=dict(type='GlobalAveragePooling', dim=1),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=16))
SCALEKD = dict(type='mmamd.ScaleKDLoss', student_layers=('backbone.layers.0', 'backbone.ln1'))


@pytest.mark.slow
def test_a_run_by_scalekd_counts_and_shows_what_its_term_does(tiny_config, tmp_path):
    summary = mmamd.compress(tiny_config(**{
        'method.type': 'mmamd.KD', 'model.losses': dict(ce=dict(weight=0.5), logit=dict(weight=0.), feat=dict(
            weight=0.), scalekd=SCALEKD), 'compression.student_architecture': MIXER, 'compression.student_scale': 0.395,
        'student.train_cfg.max_epochs': 1, 'train_dataloader.num_workers': 0, 'default_hooks.logger.interval': 5}),
        work_dir=tmp_path)
    stage = json.loads((tmp_path / 'stages.json').read_text())['stages']['student']
    teacher, student = summary['teacher']['macs'], summary['student']['macs']
    own = stage['macs'] // 160 - teacher - 3 * student  # ten steps of 16 images
    assert own > teacher and abs(stage['planned_macs'] - stage['macs']) < 0.03 * stage['macs']  # 163 images are planned

    assert type(mmamd.load_student(tmp_path).backbone).__name__ == 'MlpMixer'
    pictures, missing = make_pictures(read_run(tmp_path))
    assert {'distance_student', 'spectrum_student', 'attention_student', 'loss_student'} < {
        picture.name for picture in pictures}
    shown, = read_run(tmp_path).shown.values()
    # The teacher's maps are 2 x 2 and the student's 4 x 4.
    assert [len(rows) for rows in shown[0].panels.values()] == [2, 2, 4, 4]
    assert [len(rows) for rows in shown[1].panels.values()] == [4] * 4
    distances, = read_run(tmp_path).distances['student'].values()
    assert distances.steps == [5, 10]
