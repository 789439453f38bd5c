"""A run takes over the stages that another run has made from the same inputs, with what they cost there."""

import json
import shutil

import pytest

import mmamd
from mmamd.pipeline.outputs import OutputDamaged
from mmamd.pipeline.reuse import take_over

KD = {'method.type': 'mmamd.KD', 'student.train_cfg.max_epochs': 1}


def stages_of(work_dir):
    return json.loads((work_dir / 'stages.json').read_text())['stages']


@pytest.mark.slow
def test_a_baseline_takes_over_what_comes_before_the_training(finished_run, tiny_config, tmp_path, capsys):
    donor, _ = finished_run
    work_dir = tmp_path / 'kd'
    summary = mmamd.compress(tiny_config(reuse_stages=[str(donor)], **KD), work_dir=work_dir)
    before, stages = stages_of(donor), stages_of(work_dir)
    assert {name for name, entry in stages.items() if entry.get('reused_from')} == {'score', 'nest'}
    assert f'score is taken over from {donor}' in capsys.readouterr().out
    for name in ('score/importance.json', 'nest/family.json', 'nest/reordered.pth'):
        assert (work_dir / name).read_bytes() == (donor / name).read_bytes()
    # What it has cost is part of the cost of this run, too.
    assert stages['score']['macs'] == before['score']['macs'] > 0
    assert summary['cost']['macs'] == sum(entry['macs'] for entry in stages.values())
    assert mmamd.compress(tiny_config(**KD), work_dir=work_dir)['cost'] == summary['cost']  # goes on without the donor


@pytest.fixture
def donor(finished_run, tmp_path):
    return shutil.copytree(finished_run[0], tmp_path / 'donor')


def inputs_of(run, stage):
    return stages_of(run)[stage]['fingerprint']


def test_checkpoints_of_epochs_stay_behind(donor, tmp_path):
    entry = take_over([str(donor)], 'student', inputs_of(donor, 'student'), tmp_path / 'run')
    assert entry['reused_from'] == str(donor) and (tmp_path / 'run' / 'student' / 'trained.pth').is_file()
    assert list((donor / 'student').glob('epoch_*.pth')) and not list((tmp_path / 'run').rglob('epoch_*.pth'))


@pytest.mark.parametrize('stage, change', [
    ('joint', {'seed': 'another'}),  # other inputs
    ('refit', {}),  # the other run has no such stage
    ('export', {})])  # it writes the student elsewhere
def test_nothing_else_is_taken_over(donor, tmp_path, stage, change):
    wanted = {**stages_of(donor).get(stage, {}).get('fingerprint', {}), **change}
    assert take_over([str(donor)], stage, wanted, tmp_path / 'run') is None
    assert not (tmp_path / 'run').exists()


def test_an_unfinished_stage_is_not_taken_over(donor, tmp_path):
    content = json.loads((donor / 'stages.json').read_text())
    content['stages']['student']['finished'] = False
    (donor / 'stages.json').write_text(json.dumps(content))
    assert take_over([str(donor)], 'student', inputs_of(donor, 'student'), tmp_path / 'run') is None


def test_a_damaged_file_is_refused(donor, tmp_path):
    (donor / 'nest' / 'family.json').write_text('{}')
    with pytest.raises(OutputDamaged, match=r"family.json has 2 bytes and had \d+"):
        take_over([str(donor)], 'nest', inputs_of(donor, 'nest'), tmp_path / 'run')


@pytest.mark.parametrize('named, error, match', [
    ('nowhere', FileNotFoundError, 'reuse_stages: .*nowhere is no run, it holds no stages.json'),
    ('run', ValueError, 'which is the work_dir itself: a run continues with what it has')])
def test_what_is_no_other_run_is_refused_before_anything_is_written(tiny_config, tmp_path, named, error, match):
    with pytest.raises(error, match=match):
        mmamd.compress(tiny_config(reuse_stages=[str(tmp_path / named)]), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
