"""A checkpoint is read as data: nothing in it runs, and what is wrong with it is said with its name."""

import argparse
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import KINDS, Run, Touch, plant
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

from mmamd.files import checkpoint
from mmamd.files.checkpoint import is_whole, read_checkpoint, read_tensors, trust_checkpoints, write_checkpoint
from mmamd.files.json_file import write_json


@pytest.fixture
def trusting():
    trust_checkpoints(True)
    yield
    trust_checkpoints(False)


# --- what is read ---

def test_tensors_and_plain_values_are_read(tmp_path):
    write_checkpoint({'state_dict': {'weight': torch.ones(2)}, 'meta': {'epoch': 3, 'classes': ('a', 'b')}},
                     tmp_path / 'a.pth')
    found = read_checkpoint(tmp_path / 'a.pth')
    assert torch.equal(found['state_dict']['weight'], torch.ones(2))
    assert found['meta'] == {'epoch': 3, 'classes': ('a', 'b')}


def test_what_training_checkpoints_hold_is_read(tmp_path):
    history = HistoryBuffer()
    history.update(2.)
    history.update(4.)
    torch.save({'log': history, 'lr': np.float64(0.5), 'steps': np.int64(3), 'table': np.arange(4),
                'args': argparse.Namespace(epochs=3)}, tmp_path / 'epoch_1.pth')
    found = read_checkpoint(tmp_path / 'epoch_1.pth')
    assert found['log'].statistics('mean') == 3. and found['log'].statistics('current') == 4.
    assert (found['lr'], found['steps'], found['args'].epochs) == (0.5, 3, 3)
    assert found['table'].tolist() == [0, 1, 2, 3]


def test_every_checkpoint_of_a_run_is_read(finished_run):
    paths = sorted(finished_run[0].rglob('*.pth'))
    assert {'epoch_3.pth', 'shared.pth', 'terms.pth', 'student.pth'} <= {path.name for path in paths}
    for path in paths:
        assert isinstance(read_checkpoint(path), dict)


def test_the_text_of_a_config_that_the_host_would_execute_is_left_out(tmp_path):
    torch.save({'meta': {'config': 'open("x", "w")', 'epoch': 1}}, tmp_path / 'epoch_1.pth')
    assert read_checkpoint(tmp_path / 'epoch_1.pth')['meta'] == {'epoch': 1}
    assert CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_1.pth'))['meta'] == {'epoch': 1}


# --- what is not ---

@pytest.mark.parametrize('payload, name', [(Touch, 'pathlib.Path'), (Run, 'posix.system')])
@pytest.mark.parametrize('kind', KINDS)
def test_what_would_run_code_is_refused_by_name_and_does_not_run(kind, payload, name, tmp_path):
    plant(tmp_path / 'teacher.pth', tmp_path / 'marker', kind, payload)
    with pytest.raises(ValueError, match=r'teacher.pth holds .*trust_checkpoints=True in the config, or MMAMD_TRUST_'
                                         'CHECKPOINTS=1') as refused:
        read_checkpoint(tmp_path / 'teacher.pth')
    assert kind == 'pickle' or name in str(refused.value)
    assert not (tmp_path / 'marker').exists()


class Getattr:
    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


def test_getattr_is_not_let_in_with_the_methods_of_histories(tmp_path):
    torch.save({'found': Getattr()}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a.pth holds builtins.getattr'):
        read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('content, what', [
    ([torch.zeros(2)], 'list'), (torch.zeros(2), 'Tensor'), ('weights', 'str'), (None, 'NoneType')])
def test_what_is_no_dict_is_refused(content, what, tmp_path):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=f"a.pth holds a {what}; expected a checkpoint: a dict of tensors"):
        read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('damage', ['empty', 'text', 'code', 'zeros', 'halved', 'end', 'begun', 'page'])
def test_a_damaged_file_is_named(damage, tmp_path):
    whole = tmp_path / 'whole.pth'
    torch.save({'weight': torch.arange(1000)}, whole)
    content = whole.read_bytes()
    damaged = {'empty': b'', 'text': b'hello world', 'code': b'import os\n', 'zeros': bytes(1000),
               'halved': content[:len(content) // 2], 'end': content[:-1], 'begun': b'\x80\x02',
               'page': b'<!DOCTYPE html><html>'}[damage]
    path = tmp_path / 'a.pth'
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r'a.pth is no checkpoint, or a damaged one \(.*\); put a whole copy of it'):
        read_checkpoint(path)
    assert is_whole(whole) and not is_whole(path)


def test_a_changed_byte_is_noticed_without_reading_the_tensors(tmp_path):
    torch.save({'weight': torch.arange(1000)}, tmp_path / 'a.pth')
    content = bytearray((tmp_path / 'a.pth').read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / 'a.pth').write_bytes(content)
    assert not is_whole(tmp_path / 'a.pth')


def test_a_damaged_file_of_a_run_names_the_stage_to_redo(tmp_path):
    write_json(tmp_path / 'stages.json', {})
    for path, stage in (('joint/shared.pth', 'joint'), ('student/trained.pth', 'student'),
                        ('student/student.pth', 'export'), ('student/student_0.50/student.pth', 'export')):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b'half')
        with pytest.raises(ValueError, match=f'{path} is no checkpoint, .*--start-from {stage}$'):
            read_checkpoint(tmp_path / path)


def test_a_damaged_safetensors_file_is_named(tmp_path):
    save_file({'weight': torch.ones(9)}, tmp_path / 'a.safetensors', {'format': 'pt'})
    weights, metadata = read_tensors(tmp_path / 'a.safetensors')
    assert torch.equal(weights['weight'], torch.ones(9)) and metadata == {'format': 'pt'}
    (tmp_path / 'a.safetensors').write_bytes((tmp_path / 'a.safetensors').read_bytes()[:-4])
    with pytest.raises(ValueError, match='a.safetensors is no safetensors file, or a damaged one'):
        read_tensors(tmp_path / 'a.safetensors')


# --- the switch ---

def test_who_trusts_a_file_reads_it_in_full_and_is_warned_once(trusting, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(checkpoint, 'print_log', lambda text, logger, level: said.append((level, text)))
    plant(tmp_path / 'teacher.pth', tmp_path / 'marker')
    for _ in range(2):
        assert 'extra' in read_checkpoint(tmp_path / 'teacher.pth')
    assert (tmp_path / 'marker').exists()
    (level, text), = said
    assert level == logging.WARNING and 'teacher.pth holds pathlib.Path and is unpickled in full' in text


@pytest.mark.parametrize('value, is_read', [('1', True), ('0', False), ('', False)])
def test_tools_are_told_by_the_environment(value, is_read, tmp_path, monkeypatch):
    monkeypatch.setenv('MMAMD_TRUST_CHECKPOINTS', value)
    plant(tmp_path / 'teacher.pth', tmp_path / 'marker')
    if is_read:
        read_checkpoint(tmp_path / 'teacher.pth')
    else:
        with pytest.raises(ValueError, match='is not read'):
            read_checkpoint(tmp_path / 'teacher.pth')
    assert (tmp_path / 'marker').exists() == is_read


@pytest.mark.parametrize('path', ['joint/shared.pth', 'student/trained.pth', 'student/student.pth', 'refit/0.50.pth',
                                  'joint/terms.pth'])
def test_what_a_stage_has_left_is_read_strictly_whatever_the_switch_says(path, trusting, tmp_path):
    write_json(tmp_path / 'stages.json', {})
    plant(tmp_path / path, tmp_path / 'marker')
    with pytest.raises(ValueError, match=f'{path} holds pathlib.Path, and a stage leaves tensors .*--start-from'):
        read_checkpoint(tmp_path / path)
    assert not (tmp_path / 'marker').exists()


def test_the_switch_is_a_truth_value():
    with pytest.raises(ValueError, match="trust_checkpoints must be True or False, got 'yes'"):
        trust_checkpoints('yes')


def test_a_config_sets_it_and_the_next_one_sets_it_back(tiny_config, tmp_path):
    from mmamd.pipeline import MultiStepRunner
    plant(tmp_path / 'teacher.pth', tmp_path / 'marker')
    MultiStepRunner(tiny_config(trust_checkpoints=True, work_dir=str(tmp_path / 'run')))
    assert read_checkpoint(tmp_path / 'teacher.pth')
    MultiStepRunner(tiny_config(work_dir=str(tmp_path / 'run')))
    with pytest.raises(ValueError, match='is not read'):
        read_checkpoint(tmp_path / 'teacher.pth')
    with pytest.raises(ValueError, match='must be True or False, got 1'):
        MultiStepRunner(tiny_config(trust_checkpoints=1, work_dir=str(tmp_path / 'run')))


# --- the host's own doors ---

def test_the_host_reads_files_and_downloads_by_it(tmp_path, monkeypatch):
    for name in ('local.pth', 'downloaded.pth'):
        plant(tmp_path / name, tmp_path / 'marker')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', lambda url, path, progress: Path(path).write_bytes(
        (tmp_path / Path(url).name).read_bytes()))
    for source in (str(tmp_path / 'local.pth'), 'https://nowhere/downloaded.pth'):
        with pytest.raises(ValueError, match='.pth holds pathlib.Path, which is not read'):
            CheckpointLoader.load_checkpoint(source)
    assert not (tmp_path / 'marker').exists()


def test_a_plain_config_is_heeded_too(tmp_path):
    from mmamd.pipeline.launch import build_runner
    with pytest.raises(ValueError, match="trust_checkpoints must be True or False, got 'yes'"):
        build_runner(Config(dict(trust_checkpoints='yes', model=dict(), work_dir=str(tmp_path))))
