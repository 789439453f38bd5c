"""A damaged file is named with what to do about it, and a stage continues from its newest whole checkpoint."""

import json
import logging
import shutil

import pytest
import torch

import mmamd
from mmamd.pipeline.finished_run import load_candidate
from mmamd.pipeline.replay import replay_stage
from mmamd.pipeline.stages import training
from mmamd.pipeline.stages.training import last_checkpoint
from mmamd.pipeline.status import format_status
from mmamd.visualization import read_run


@pytest.fixture
def run(finished_run, tmp_path):
    return shutil.copytree(finished_run[0], tmp_path / 'run')


@pytest.fixture
def said(monkeypatch):
    """Warnings of the stages that train."""
    found = []
    monkeypatch.setattr(training, 'notice', lambda text, level: found.append((level, text)))
    return found


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])


# --- checkpoints ---

def test_a_stage_whose_last_checkpoint_is_damaged_continues_from_the_one_before(run, finished_run, tiny_config, said):
    state = json.loads((run / 'stages.json').read_text())
    del state['stages']['export']
    state['stages']['student']['finished'] = False
    (run / 'stages.json').write_text(json.dumps(state))
    for name in ('trained.pth', 'terms.pth', 'networks.json', 'student.pth'):
        (run / 'student' / name).unlink()
    halve(run / 'student' / 'epoch_3.pth')
    mmamd.compress(tiny_config(), work_dir=run)
    (level, text), = said
    assert level == logging.WARNING
    assert text.endswith('student/epoch_3.pth cannot be read to the end and is left out; the stage continues from '
                         'epoch_2.pth')
    ours, theirs = (torch.load(folder / 'student' / 'student.pth', weights_only=True)['state_dict']
                    for folder in (run, finished_run[0]))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize('damaged, taken', [((), 'epoch_10.pth'), ((10,), 'epoch_9.pth'), ((10, 9), 'epoch_1.pth'),
                                            ((10, 9, 1), None)])
def test_the_newest_whole_checkpoint_is_the_last(damaged, taken, said, tmp_path):
    for epoch in (1, 9, 10):
        torch.save({'x': torch.zeros(99)}, tmp_path / f'epoch_{epoch}.pth')
    (tmp_path / 'epoch_10.pth.partial').write_bytes(b'half')
    (tmp_path / 'epoch_10-0a1b2c3d.pth').write_bytes(b'what the host has published')
    (tmp_path / 'last_checkpoint').write_text('/where/it/was/before/epoch_10.pth')
    for epoch in damaged:
        halve(tmp_path / f'epoch_{epoch}.pth')
    assert last_checkpoint(tmp_path) == (None if taken is None else tmp_path / taken)
    assert len(said) == bool(damaged)
    assert all(f'epoch_{epoch}.pth' in said[0][1] for epoch in damaged)
    if damaged:
        assert said[0][1].endswith(f'continues from {taken or "its beginning"}')


@pytest.mark.parametrize('note', [b'', b'\xff\xfe', b'/elsewhere/epoch_7.pth', b'..'])
def test_a_damaged_note_of_the_host_is_passed_over(note, said, tmp_path):
    torch.save({}, tmp_path / 'epoch_1.pth')
    (tmp_path / 'last_checkpoint').write_bytes(note)
    assert last_checkpoint(tmp_path) == tmp_path / 'epoch_1.pth' and not said


def test_a_checkpoint_of_another_name_is_known_by_the_note(said, tmp_path):
    torch.save({}, tmp_path / 'after_2_epochs.pth')
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/after_2_epochs.pth')
    assert last_checkpoint(tmp_path) == tmp_path / 'after_2_epochs.pth' and not said


def test_a_checkpoint_that_the_user_names_and_that_is_damaged_is_refused(run, tiny_config):
    state = json.loads((run / 'stages.json').read_text())
    del state['stages']['export']
    state['stages']['student']['finished'] = False
    (run / 'stages.json').write_text(json.dumps(state))
    halve(run / 'student' / 'epoch_2.pth')
    with pytest.raises(ValueError, match='epoch_2.pth is no checkpoint, or a damaged one'):
        mmamd.compress(tiny_config(resume=True, load_from=str(run / 'student' / 'epoch_2.pth')), work_dir=run)


@pytest.mark.parametrize('content', ['empty', 'text', 'list', 'half', 'no weights', 'no tensors'])
def test_a_teacher_that_is_no_checkpoint_is_refused_before_anything_is_written(content, teacher, tiny_config, tmp_path):
    path = tmp_path / 'teacher.pth'
    if content in ('empty', 'text'):
        path.write_text('' if content == 'empty' else 'these are no weights')
    elif content == 'half':
        shutil.copy(teacher, path)
        halve(path)
    else:
        torch.save({'list': [torch.zeros(2)], 'no weights': {'state_dict': [1, 2]},
                    'no tensors': {'state_dict': dict.fromkeys(torch.load(teacher)['state_dict'], 1.)}}[content], path)
    with pytest.raises(ValueError, match='teacher.pth (is no checkpoint|holds a list|does not fit .* no tensor but a)'):
        mmamd.compress(tiny_config(**{'model.teacher': str(path)}), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


# --- what is read of a finished run ---

READERS = {'stages.json': read_run, 'progress.json': format_status, 'run_config.json': load_candidate,
           'summary.json': read_run, 'score/importance.json': read_run, 'nest/family.json': read_run,
           'joint/networks.json': lambda run: load_candidate(run, 0.75), 'select/judged.json': read_run,
           'select/selection.json': lambda run: replay_stage(run, 'best'), 'export/examples.json': read_run,
           'export/networks.json': mmamd.load_student, 'student/student.pth': mmamd.load_student,
           'student/trained.pth': load_candidate, 'joint/shared.pth': lambda run: load_candidate(run, 0.75)}


@pytest.mark.parametrize('damage', ['halved', 'emptied', 'of another kind'])
def test_a_damaged_file_is_named_with_what_to_do(damage, run):
    for name, read in READERS.items():
        path = run / name
        whole = path.read_bytes()
        path.write_bytes({'halved': whole[:len(whole) // 2], 'emptied': b'', 'of another kind': b'["x"]'}[damage])
        stage = 'export' if name == 'student/student.pth' else name.partition('/')[0]
        do = f'--start-from {stage}$' if '/' in name else '(delete it and give|put a whole copy of it back)'
        with pytest.raises(ValueError, match=f'{name} .*{do}'):
            read(run)
        path.write_bytes(whole)
        assert read(run)


def test_a_changed_file_is_named_with_what_to_do(run):
    for name, read in READERS.items():
        if name.endswith('.json') and name not in ('run_config.json', 'summary.json'):  # any dict is one
            path = run / name
            whole = path.read_bytes()
            path.write_text('{"format": 2, "another": {"key": 1}}')
            with pytest.raises(ValueError, match=name):
                read(run)
            path.write_bytes(whole)


def test_a_damaged_line_of_a_log_is_named(run):
    path = next((run / 'joint').glob('*/vis_data/scalars.json'))
    path.write_text('{"loss": 1.0, "step"}\n')
    with pytest.raises(ValueError, match='scalars.json has a line that is no JSON'):
        read_run(run)


def test_a_stage_that_reads_a_damaged_file_names_the_stage_that_made_it(run, tiny_config):
    halve(run / 'nest' / 'family.json')
    with pytest.raises(ValueError, match='nest/family.json has .* bytes and had .*--start-from nest$'):
        mmamd.compress(tiny_config(start_from='joint'), work_dir=run)
