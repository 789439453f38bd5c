"""The file of safetensors: what it says, who may read it, and that it is the same whenever it is written."""

import json
import os
import stat

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mmamd.export.safetensors import save_safetensors

WEIGHTS = {'b': torch.arange(3.), 'a': torch.ones(2, 2, dtype=torch.float16), 'empty': torch.zeros(0, 4)}
METADATA = {f'key {i}': 'a value' * i for i in range(20)}


def header(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], 'little')
    return json.loads(content[8:8 + length]), length


def test_tensors_and_metadata_are_read_as_they_were_given(tmp_path):
    save_safetensors(WEIGHTS, tmp_path / 'x.safetensors', METADATA)
    found = load_file(tmp_path / 'x.safetensors')
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[key], WEIGHTS[key]) and found[key].dtype == WEIGHTS[key].dtype for key in WEIGHTS)
    with safe_open(tmp_path / 'x.safetensors', 'pt') as file:
        assert file.metadata() == {**METADATA, 'format': 'pt'}


def test_the_same_content_is_the_same_file_in_whatever_order_it_is_given(tmp_path):
    save_safetensors(WEIGHTS, tmp_path / 'one', METADATA)
    save_safetensors(WEIGHTS, tmp_path / 'two', dict(reversed(METADATA.items())))
    assert (tmp_path / 'one').read_bytes() == (tmp_path / 'two').read_bytes()
    found, length = header(tmp_path / 'one')
    assert list(found['__metadata__']) == sorted([*METADATA, 'format'])
    assert length % 8 == 0  # so that the tensors are aligned
    save_file(WEIGHTS, tmp_path / 'theirs', metadata={**METADATA, 'format': 'pt'})
    assert header(tmp_path / 'theirs')[0] == found


@pytest.mark.parametrize('mask, mode', [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_it_is_what_the_umask_says(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        save_safetensors(WEIGHTS, tmp_path / 'x', METADATA)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'x').stat().st_mode) == mode
