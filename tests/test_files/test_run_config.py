"""A run's config is kept as data, and nothing of a work_dir is executed to read it."""

import math
import sys

import pytest
import torch
from mmengine.config import Config

import mmamd
from mmamd.files.json_file import write_json
from mmamd.files.run_config import decode, encode, import_custom, read_run_config, write_run_config

ODD = {'tuple': (1, (2.5, 'x'), []), 'list': [(), {'a': (None,)}], 'keys': {1: 'one', (0, 1): True},
       'marks': {'__tuple__': [1], 'other': 2}, 'mark': {'__items__': 3}, 'empty': {}, 'inf': math.inf}


def test_what_json_has_not_survives(tmp_path):
    assert decode(encode(ODD)) == ODD
    write_run_config(Config(dict(data=ODD)), tmp_path)
    found = read_run_config(tmp_path)
    assert found.data.to_dict() == ODD
    assert type(found.data.tuple) is tuple and type(found.data.list[1].a) is tuple
    assert math.isnan(decode(encode([math.nan]))[0])


def test_a_class_is_known_by_the_name_that_it_is_imported_by():
    assert encode({'type': torch.nn.Linear}) == {'type': 'torch.nn.modules.linear.Linear'}


@pytest.mark.parametrize('value', [torch.zeros(1), object(), lambda: 1, {1, 2}])
def test_what_is_no_data_is_refused_with_its_key(value):
    with pytest.raises(ValueError, match=r'model.losses\[1\].weight is .*expected plain values'):
        encode({'model': {'losses': [{}, {'weight': value}]}})


def test_a_text_in_which_the_host_would_substitute_variables_is_refused():
    with pytest.raises(ValueError, match='model.name is .*; expected a text without {{, which has a meaning'):
        encode({'model': {'name': 'x {{$HOME:y}}'}})
    with pytest.raises(ValueError, match='expected a text without {{'):
        decode({'name': ['{{ fileDirname }}']})


@pytest.mark.parametrize('key', ["it's", 'a "b"', 'a\\', 'a\nb'])
def test_a_key_that_the_host_cannot_write_is_refused(key):
    with pytest.raises(ValueError, match='model.classes has the key .*; expected a name without quotes'):
        encode({'model': {'classes': {key: 1}}})
    with pytest.raises(ValueError, match='a dict has the key'):
        decode({'__items__': [[key, 1], [2, 3]]})


def test_every_shipped_config_is_data(config_files):
    for file in config_files:
        config = Config.fromfile(file).to_dict()
        assert decode(encode(config)) == config


@pytest.fixture
def config_files():
    from mmamd.compat import shipped_config
    folder = shipped_config('mmamd::amd/vit-tiny_digits.py').parent
    files = sorted(folder.glob('*.py'))
    assert len(files) > 10
    return files


def test_the_text_for_people_is_not_executed(tmp_path):
    write_run_config(Config(dict(a=1)), tmp_path)
    (tmp_path / 'run_config.py').write_text(f'open({str(tmp_path / "marker")!r}, "w")\na = 2\n')
    assert read_run_config(tmp_path).to_dict() == {'a': 1}
    (tmp_path / 'run_config.json').unlink()
    with pytest.raises(FileNotFoundError, match="holds no run_config.json beside its run_config.py, which is not "
                                                'executed: .*give its command again, which writes it and skips what'):
        read_run_config(tmp_path)
    assert not (tmp_path / 'marker').exists()


def test_a_folder_without_either_holds_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no run_config.json, so no run'):
        read_run_config(tmp_path)


@pytest.mark.parametrize('content', ['', '{', '[]', '{"filename": "a reserved key of the host"}'])
def test_a_damaged_one_is_named(content, tmp_path):
    write_json(tmp_path / 'stages.json', {})
    (tmp_path / 'run_config.json').write_text(content)
    with pytest.raises(ValueError, match="run_config.json .*delete it and give the run's command again"):
        read_run_config(tmp_path)


# --- modules of the user's ---

def test_modules_that_a_run_names_are_imported_from_the_users_path_and_not_from_the_work_dir(tmp_path, monkeypatch):
    for folder, name in (('mine', 'a_module_of_mine'), ('run', 'a_module_of_the_run')):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f'{name}.py').write_text(f'open({str(tmp_path / name)!r}, "w")\n')
        monkeypatch.syspath_prepend(tmp_path / folder)
    import_custom(Config(dict(custom_imports=dict(imports=['a_module_of_mine']))), tmp_path / 'run')
    assert 'a_module_of_mine' in sys.modules and (tmp_path / 'a_module_of_mine').exists()
    with pytest.raises(ValueError, match='custom_imports names a_module_of_the_run, which lies in .*run; nothing of'):
        import_custom(Config(dict(custom_imports=dict(imports='a_module_of_the_run'))), tmp_path / 'run')
    assert not (tmp_path / 'a_module_of_the_run').exists()
    with pytest.raises(ImportError):
        import_custom(Config(dict(custom_imports=dict(imports=['no_such_module']))), tmp_path / 'run')
    import_custom(Config(dict(custom_imports=dict(imports=['no_such_module'], allow_failed_imports=True))), tmp_path)


def test_a_run_by_a_config_that_is_no_data_is_refused_before_anything_is_written(tiny_config, tmp_path):
    with pytest.raises(ValueError, match=r'^odd is <object .*, a object, which cannot be kept as data'):
        mmamd.compress(tiny_config(**{'odd': object()}), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_run_leaves_its_config_as_data_without_how_it_was_continued(finished_run):
    found = read_run_config(finished_run[0])
    assert found.to_dict() == Config.fromfile(finished_run[0] / 'run_config.py').to_dict()
    assert (found.start_from, found.resume, found.load_from) == (None, False, None)
