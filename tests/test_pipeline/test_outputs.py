"""What a finished stage has left is held against what is there before a run goes on, and damage names its maker."""

import json
import os
import shutil

import pytest

import mmamd
from mmamd.pipeline import outputs
from mmamd.pipeline.finished_run import load_candidate
from mmamd.pipeline.outputs import OutputDamaged, damage, note, refuse_damage
from mmamd.pipeline.state import RunState
from mmamd.pipeline.status import format_status

# File -> the stage that made it, of the finished run.
MADE = {'score/importance.json': 'score', 'nest/family.json': 'nest', 'nest/reordered.pth': 'nest',
        'joint/shared.pth': 'joint', 'joint/networks.json': 'joint', 'select/selection.json': 'select',
        'student/trained.pth': 'student', 'student/student.pth': 'export', 'student/config.py': 'export',
        'student/student.safetensors': 'export', 'student/model.onnx': 'export', 'export/test_metrics.json': 'export'}


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of the finished run, to be damaged."""
    return shutil.copytree(finished_run[0], tmp_path / "a run's copy")


def halve(path):
    with open(path, 'r+b') as file:
        file.truncate(path.stat().st_size // 2)


def flip(path):
    """Change one byte; the size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def state_of(work_dir, **files):
    """A state of one finished stage 'joint' that has left files of some content, and one stage that goes on."""
    state = RunState(work_dir)
    (work_dir / 'joint').mkdir()
    for name, content in files.items():
        (work_dir / 'joint' / name).write_text(content)
    found = note(work_dir, [f'joint/{name}' for name in files])
    state.content['stages'] = {'joint': {'kind': 'distil', 'finished': True, 'outputs': found},
                               'student': {'kind': 'distil', 'finished': False}}
    return state


# --- what is noted ---

def test_data_weights_and_the_student_are_noted_and_no_logs_checkpoints_or_pictures(finished_run):
    noted = {stage: list(entry['outputs']) for stage, entry in
             json.loads((finished_run[0] / 'stages.json').read_text())['stages'].items()}
    assert noted['joint'] == ['joint/networks.json', 'joint/shared.pth', 'joint/terms.pth']
    assert noted['select'] == [f'select/{name}.json' for name in ('judged', 'networks', 'selection', 'test_metrics')]
    assert {name: stage for stage, names in noted.items() for name in names if name in MADE} == MADE


def test_a_note_is_size_time_and_digest(tmp_path):
    (tmp_path / 'a.json').write_text('abc')
    # printf abc | sha256sum
    assert note(tmp_path, ['a.json']) == {'a.json': {
        'size': 3, 'mtime_ns': (tmp_path / 'a.json').stat().st_mtime_ns, 'digest': 'ba7816bf8f01cfea'}}


# --- what is damage ---

def test_whole_files_are_let_pass_without_being_read(tmp_path, monkeypatch):
    state = state_of(tmp_path, a='abc', b='de')
    monkeypatch.setattr(outputs, 'file_digest', lambda path: pytest.fail(f'{path} was read'))
    assert damage(state) == []


def test_a_file_of_another_time_is_read_and_passes_with_its_content(tmp_path):
    state = state_of(tmp_path, a='abc')
    os.utime(tmp_path / 'joint' / 'a', ns=(1, 1))
    assert damage(state) == []
    (tmp_path / 'joint' / 'a').write_text('abd')
    assert damage(state) == [f"{tmp_path / 'joint' / 'a'} is not what was written: its content has changed; the stage "
                             "'joint' has made it: redo it with --start-from joint"]


def test_missing_and_short_files_are_told_apart(tmp_path):
    state = state_of(tmp_path, a='abc', b='de')
    (tmp_path / 'joint' / 'a').unlink()
    (tmp_path / 'joint' / 'b').write_text('d')
    missing, short = damage(state)
    assert missing.startswith(f'{tmp_path / "joint" / "a"} is missing; ')
    assert short.startswith(f'{tmp_path / "joint" / "b"} has 1 bytes and had 2 when it was written; ')
    with pytest.raises(OutputDamaged, match=r'a is missing; .*--start-from joint \(and 1 more of such files\)$'):
        refuse_damage(state)
    refuse_damage(state, ['student'])  # which goes on, and has left nothing yet


def test_of_a_stage_of_an_earlier_version_nothing_is_said(tmp_path):
    state = state_of(tmp_path, a='abc')
    del state.content['stages']['joint']['outputs']
    (tmp_path / 'joint' / 'a').unlink()
    assert damage(state) == []


# --- what a run, and who reads one, says of it ---

def test_a_copied_run_that_lost_its_times_goes_on(run, tiny_config, finished_run):
    for path in run.rglob('*.*'):
        os.utime(path, ns=(1, 1))
    assert mmamd.compress(tiny_config(), work_dir=run)['student']['value'] == finished_run[1]['student']['value']


@pytest.mark.parametrize('spoil', [os.unlink, halve, flip])
@pytest.mark.parametrize('name', MADE)
def test_every_damaged_file_is_found_with_the_stage_that_made_it(run, name, spoil):
    spoil(run / name)
    state = RunState(run)
    found, = damage(state)
    assert found.startswith(f'{run / name} ') and found.endswith(f'--start-from {MADE[name]}')


@pytest.mark.parametrize('name', ['joint/networks.json', 'student/trained.pth', 'student/student.pth'])
def test_a_run_is_refused_before_anything_is_written(run, tiny_config, contents, name):
    halve(run / name)
    before = contents(run)
    with pytest.raises(OutputDamaged, match=f'{name} has .*--start-from {MADE[name]}'):
        mmamd.compress(tiny_config(), work_dir=run)
    assert contents(run) == before


def test_redoing_the_stage_that_is_named_makes_the_run_whole(run, tiny_config, finished_run):
    halve(run / 'student' / 'student.pth')
    with pytest.raises(OutputDamaged, match='student.pth has .*--start-from export'):
        mmamd.load_student(run)
    assert f'{run / "student" / "student.pth"} has ' in format_status(run)
    mmamd.compress(tiny_config(), work_dir=run, start_from='export')
    assert (run / 'student' / 'student.pth').read_bytes() == (finished_run[0] / 'student' / 'student.pth').read_bytes()
    assert damage(RunState(run)) == []
    mmamd.load_student(run)


def test_the_student_and_other_candidates_need_their_own_files_alone(run):
    flip(run / 'joint' / 'shared.pth')
    mmamd.load_student(run)
    load_candidate(run, 'student')
    with pytest.raises(OutputDamaged, match='shared.pth is not what was written.*--start-from joint'):
        load_candidate(run, 0.75)
    (run / 'joint' / 'shared.pth').unlink()
    with pytest.raises(OutputDamaged, match='shared.pth is missing.*--start-from joint'):
        mmamd.export_model(run, scale='assistant')
