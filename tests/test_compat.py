"""What the host lacks is mended: configs that inherit ours by `mmamd::`."""

import os
import subprocess
import sys
from pathlib import Path

import mmengine
import pytest
from mmengine.config import Config

from mmamd import compat
from mmamd.files.checkpoint import read_checkpoint
from mmamd.files.whole import write_whole

ROOT = Path(__file__).resolve().parents[1]


def child(folder, base="'mmamd::amd/vit-tiny_digits.py'"):
    path = folder / 'child.py'
    path.write_text(f'_base_ = {base}\nmodel = dict(architecture=dict(head=dict(num_classes=3)))\n')
    return path


def test_a_config_inherits_ours_by_the_packages_name_as_by_its_path(tmp_path):
    by_name = Config.fromfile(child(tmp_path))
    by_path = Config.fromfile(child(tmp_path, base=f"'{(ROOT / 'configs/amd/vit-tiny_digits.py').as_posix()}'"))
    # Not even a _scope_ is added: the host's types would then be looked up in mmamd's registries, which lack them.
    assert by_name.to_dict() == by_path.to_dict()
    assert by_name.model.architecture.head.to_dict() == dict(type='LinearClsHead', num_classes=3, in_channels=64)


HOSTILE = 'it\'s a "name" of $HOME; * {{ fileBasename }}'


def test_a_config_may_lie_in_a_folder_of_any_name(tmp_path):
    folder = tmp_path / HOSTILE
    folder.mkdir()
    text = "where = '{{ fileDirname }}/x'\nalso = \"{{fileDirname}}\"\nname = '{{ fileBasenameNoExtension }}'\n"
    (folder / "it's.py").write_text(text)
    config = Config.fromfile(folder / "it's.py")
    assert (config.where, config.also, config.name) == (f'{folder}/x', str(folder), "it's")


def test_hub_finds_a_config_of_ours_and_still_those_of_others():
    assert mmengine.hub.get_config('mmamd::kd/kd_vit-micro_cifar100.py').method.type == 'mmamd.KD'
    assert mmengine.hub.get_config('mmpretrain::vision_transformer/vit-base-p16_32xb128-mae_in1k.py').model


def test_there_are_no_weights_to_find():
    with pytest.raises(ValueError, match='publishes no weights'):
        mmengine.hub.get_config('mmamd::kd/kd_vit-micro_cifar100.py', pretrained=True)


@pytest.mark.parametrize('asked, offered', [
    ('mmamd::amd/vit-tiny_digit.py', 'mmamd::amd/vit-tiny_digits.py'),
    ('mmamd::kd/vit-tiny_digits.py', 'mmamd::amd/vit-tiny_digits.py'),  # the name of another folder
    ('mmamd::vit-tiny_digits', 'mmamd::amd/vit-tiny_digits.py'),
    ('mmamd::something/else.py', 'mmamd::amd/vit-tiny_digits.py')])  # nothing is near: all are offered
def test_an_unknown_config_is_refused_with_the_nearest_ones(asked, offered, tmp_path):
    with pytest.raises(FileNotFoundError, match=offered) as error:
        Config.fromfile(child(tmp_path, base=repr(asked)))
    assert repr(asked) in str(error.value)


def test_a_package_without_its_configs_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(compat, '__file__', str(tmp_path / 'mmamd' / 'compat.py'))
    with pytest.raises(FileNotFoundError, match='came without its configs'):
        compat.shipped_config('mmamd::amd/vit-tiny_digits.py')


def test_applying_the_repairs_twice_changes_nothing():
    before = Config._get_cfg_path, mmengine.hub.get_config
    compat.apply(read_checkpoint, write_whole)
    assert (Config._get_cfg_path, mmengine.hub.get_config) == before


def test_a_tool_that_never_imports_mmamd_can_be_told_in_the_config(tmp_path):
    # MMPretrain's own train.py reads the config first. Without the expression it is the host that refuses.
    code = """
import sys
from mmengine.config import Config
try:
    Config.fromfile(sys.argv[1])
    raise SystemExit('the host reads mmamd:: by itself now: drop the repair')
except AssertionError as error:
    assert 'mmamd' in str(error)
Config.fromfile(sys.argv[2])
"""
    plain = child(tmp_path).rename(tmp_path / 'plain.py')
    expression = child(tmp_path, base="(__import__('mmamd'), 'mmamd::amd/vit-tiny_digits.py')[1]")
    done = subprocess.run([sys.executable, '-c', code, str(plain), str(expression)], capture_output=True, text=True,
                          env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, done.stderr
