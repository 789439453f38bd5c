"""JSON files of a run: a damaged one is named, with what to do."""

import pytest

from mmamd.files.json_file import read_json, write_json


def test_what_was_written_is_read(tmp_path):
    write_json(tmp_path / 'folder' / 'a.json', {'value': [1, 0.1, None, 'x']})
    assert read_json(tmp_path / 'folder' / 'a.json') == {'value': [1, 0.1, None, 'x']}
    assert [path.name for path in (tmp_path / 'folder').iterdir()] == ['a.json']


@pytest.mark.parametrize('content, what', [
    (b'', 'is empty'), (b'{"a": 1', r'is no JSON \(Expecting'), (b'\xff\xfe{}', r'is no JSON \('),
    (b'[1, 2]', 'holds a list where a dict is expected'), (b'3', 'holds a int')])
def test_a_damaged_file_is_named(content, what, tmp_path):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(ValueError, match=f'a.json {what}.*put a whole copy of it there'):
        read_json(tmp_path / 'a.json')


@pytest.mark.parametrize('build', [lambda raw: raw['b'], lambda raw: raw['a'] + 'x', lambda raw: raw['a'].items()])
def test_what_does_not_hold_what_is_needed_is_named(build, tmp_path):
    write_json(tmp_path / 'a.json', {'a': 1})
    with pytest.raises(ValueError, match='a.json does not hold what is expected of it'):
        read_json(tmp_path / 'a.json', build)


def test_a_file_that_is_not_there_stays_that(tmp_path):
    with pytest.raises(FileNotFoundError, match='a.json'):
        read_json(tmp_path / 'a.json')


@pytest.mark.parametrize('path, do', [
    ('nest/family.json', '--start-from nest$'), ('select_2/networks.json', '--start-from select_2$'),
    ('progress.json', "delete it and give the run's command again"),
    ('teacher_cache/0123/identity.json', r'delete the folder .*0123'),
    ('stages.json', 'put a whole copy of it back, or begin the run anew in another --work-dir')])
def test_what_to_do_depends_on_whose_file_it_is(path, do, tmp_path):
    write_json(tmp_path / 'stages.json', {})
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text('{')
    with pytest.raises(ValueError, match=do):
        read_json(tmp_path / path)
