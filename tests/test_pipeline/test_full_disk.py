"""A run that a full disk ends says so in progress.json, though that cannot be written in the usual way."""

import errno
import json
import shutil
from collections import namedtuple

import pytest

import mmamd
from mmamd.pipeline import status
from mmamd.pipeline.progress import Progress
from mmamd.pipeline.status import StatusFile, read_status

Usage = namedtuple('Usage', 'total used free')
NO_SPACE = OSError(errno.ENOSPC, 'No space left on device')


def no_space(*_):
    raise NO_SPACE


@pytest.fixture
def running(tmp_path):
    """A file of a run that is in its stage joint."""
    file = StatusFile(tmp_path)
    Progress({'score': 1., 'joint': 3.}, [file]).start('joint')
    return file


def test_the_error_is_written_into_the_file_that_is_there(running, tmp_path, monkeypatch):
    monkeypatch.setattr(status, 'write_json', no_space)
    with pytest.raises(OSError) as raised, running:
        raise NO_SPACE
    assert raised.value is NO_SPACE
    found = read_status(tmp_path)
    assert found.state == 'failed'
    assert found.error == ('OSError: [Errno 28] No space left on device (the disk of '
                           f'{tmp_path} is full; free some of it)')
    assert found.snapshot.running.name == 'joint'


def test_a_shorter_text_leaves_nothing_of_a_longer_one(running, tmp_path, monkeypatch):
    path = tmp_path / 'progress.json'
    path.write_text(path.read_text() + ' ' * 1000)
    monkeypatch.setattr(status, 'write_json', no_space)
    with pytest.raises(KeyboardInterrupt), running:
        raise KeyboardInterrupt
    assert read_status(tmp_path).state == 'interrupted' and path.stat().st_size < 1500


def test_torchs_own_error_of_a_full_disk_is_explained_too(running, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: Usage(1 << 30, 1 << 30, 4096))
    with pytest.raises(RuntimeError), running:
        raise RuntimeError('[enforce fail at inline_container.cc:664]')
    assert read_status(tmp_path).error.endswith(f'(the disk of {tmp_path} is full; free some of it)')


def test_an_error_on_a_disk_with_room_is_what_it_was(running, tmp_path):
    with pytest.raises(RuntimeError), running:
        raise RuntimeError('something else')
    assert read_status(tmp_path).error == 'RuntimeError: something else'


def test_what_cannot_be_written_at_all_does_not_hide_the_error(running, tmp_path, monkeypatch):
    monkeypatch.setattr(status, 'write_json', no_space)
    (tmp_path / 'progress.json').unlink()
    with pytest.raises(ValueError, match='the cause'), running:
        raise ValueError('the cause')


def test_a_run_that_ends_well_but_cannot_say_so_fails(running, monkeypatch):
    monkeypatch.setattr(status, 'write_json', no_space)
    with pytest.raises(OSError), running:
        pass


def test_a_run_whose_stage_finds_no_room_ends_as_failed_and_its_stage_is_not_finished(tiny_config, tmp_path,
                                                                                     monkeypatch):
    monkeypatch.setattr('mmamd.pipeline.stages.nest.save_student', no_space)
    with pytest.raises(OSError, match='No space left'):
        mmamd.compress(tiny_config(), work_dir=tmp_path)
    assert read_status(tmp_path).state == 'failed' and 'is full; free some of it' in read_status(tmp_path).error
    assert not json.loads((tmp_path / 'stages.json').read_text())['stages']['nest']['finished']
    assert not (tmp_path / 'run.lock').exists()
