"""A file is there whole or not at all."""

import errno
import os

import pytest
import torch
from mmengine.fileio.backends import LocalBackend

from mmamd.files import whole
from mmamd.files.whole import write_whole, written_whole


def test_what_fails_while_it_is_written_leaves_what_was_there(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('before')
    with pytest.raises(OSError, match='full'), written_whole(path) as partial:
        partial.write_text('half')
        raise OSError(errno.ENOSPC, 'full')
    assert path.read_text() == 'before' and list(tmp_path.iterdir()) == [path]


def test_what_was_written_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    done = []
    flush = os.fsync
    monkeypatch.setattr(os, 'fsync', lambda opened: (done.append((tmp_path / 'a.txt').exists()), flush(opened)))
    write_whole(b'content', tmp_path / 'a.txt')
    assert done == [False, True]  # the content before the rename, the folder after it
    assert (tmp_path / 'a.txt').read_bytes() == b'content'


def test_the_host_writes_its_checkpoints_so(tmp_path, monkeypatch):
    path = tmp_path / 'epoch_1.pth'
    path.write_text('before')

    def fail(opened):
        raise OSError(errno.ENOSPC, 'full')

    monkeypatch.setattr(whole.os, 'fsync', fail)
    with pytest.raises(OSError, match='full'):
        LocalBackend().put(b'after', str(path))
    assert path.read_text() == 'before'
    monkeypatch.undo()
    LocalBackend().put(b'after', str(path))
    assert path.read_bytes() == b'after'


def test_a_checkpoint_that_is_written_anew_replaces_the_old_one(tmp_path):
    from mmamd.files.checkpoint import read_checkpoint, write_checkpoint
    for value in (1., 2.):
        write_checkpoint({'x': torch.tensor(value)}, tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['x'] == 2.
