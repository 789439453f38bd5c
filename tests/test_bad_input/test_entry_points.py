"""Arguments of mmamd's functions and of the tools that cannot be: refused before a file is read."""

import runpy
import sys
from pathlib import Path

import pytest
from malformed import names_value, said

import mmamd
from mmamd.pipeline.replay import replay_stage

TOOLS = Path(__file__).parents[2] / 'tools'
NAN = float('nan')
PATHS = [None, 3, True, '', ['run'], {'a': 1}]

CALLS = [
    *[(mmamd.load_student, 'work_dir', value) for value in PATHS],
    *[(mmamd.load_student, 'device', value) for value in ('gpu', 'cuda:x', None, 3, True, ['cpu'])],
    *[(mmamd.export_model, 'work_dir', value) for value in PATHS],
    *[(mmamd.export_model, 'forms', value) for value in ('pth', 'onnx', None, 3, True, ['pt'], [None], [['pth']], {})],
    *[(mmamd.export_model, 'scale', value) for value in (NAN, float('inf'), 0, -0.5, 1.5, None, True, [0.5], {'a': 1})],
    *[(mmamd.export_model, 'out', value) for value in (3, True, '', ['out'])],
    *[(mmamd.export_model, 'force', value) for value in ('False', 'no', 1, None)],
    *[(mmamd.compress, 'config', value) for value in (None, 3, True, '', ['a.py'], {'a': 1})],
    *[(replay_stage, 'scale', value) for value in (NAN, float('inf'), -1, 1.5, True, [0.5])],
    *[(replay_stage, 'lam', value) for value in (NAN, -1., '0.2', True, [1])],
    *[(replay_stage, 'round', value) for value in (0, -1, 1.5, '1', None, True)],
    *[(replay_stage, 'rule', value) for value in (None, 3, True, ['npsd'])]]


@pytest.mark.parametrize('function, name, value', CALLS, ids=[f'{f.__name__}-{n}={v!r}' for f, n, v in CALLS])
def test_an_argument_that_cannot_be_is_refused_by_its_name(tmp_path, function, name, value):
    arguments = dict(work_dir=tmp_path / 'run')
    if function is replay_stage:
        arguments |= dict(rule='npsd')
    message = said(lambda: function(**{**arguments, {'round': 'number'}.get(name, name): value}), tmp_path / 'run')
    assert f'{name} must be' in message and names_value(message, value) and '; ' in message


@pytest.mark.parametrize('value', [3, True, '', ['run'], {'a': 1}], ids=repr)
def test_a_folder_of_a_run_that_is_none_is_refused(tiny_config, value):
    message = said(lambda: mmamd.compress(tiny_config(), work_dir=value))
    assert 'work_dir must be a path' in message and repr(value) in message


@pytest.mark.parametrize('overrides', [{'compression': {'num_candidates': {'a': 1}}}, {'custom_hooks.7.rule': 'npsd'},
                                       {'joint.train_cfg.max_epochs.a': 3}], ids=str)
def test_overrides_that_do_not_fit_are_refused_with_what_they_were(tiny_config, tmp_path, overrides):
    message = said(lambda: mmamd.compress(tiny_config(), work_dir=tmp_path / 'run', **overrides), tmp_path / 'run')
    assert 'num_candidates' in message or str(overrides) in message


LINES = [
    ('export.py', ['--scale', 'nan'], 'nan'), ('export.py', ['--scale', 'inf'], 'inf'),
    ('export.py', ['--scale', '-1'], '-1'), ('export.py', ['--scale', 'half'], 'half'),
    ('export.py', ['--form', 'pt'], 'pt'), ('export.py', ['--scale', '2'], '2'),
    ('replay_selection.py', ['--rule', 'manual', '--scale', 'nan'], 'nan'),
    ('replay_selection.py', ['--rule', 'manual', '--scale', 'tiny'], 'tiny'),
    ('replay_selection.py', ['--rule', 'npsd', '--lam', 'nan'], 'nan'),
    ('replay_selection.py', ['--rule', 'npsd', '--lam', '-1'], '-1'),
    ('replay_selection.py', ['--rule', 'npsd', '--round', '0'], '0'),
    ('replay_selection.py', ['--rule', 'npsd', '--round', 'first'], 'first'),
    ('replay_selection.py', [], '--rule'), ('status.py', [], 'holds no'),
    ('visualise.py', ['--only', 'nosuch'], 'nosuch'), ('visualise.py', ['--format', 'gif'], 'gif'),
    ('get_flops.py', ['--shape', '0'], '0'), ('get_flops.py', ['--shape', '8', '8', '8'], '8, 8, 8'),
    ('get_flops.py', ['--shape', 'x'], 'x')]


@pytest.mark.parametrize('tool, arguments, named', LINES, ids=[' '.join([tool, *rest]) for tool, rest, _ in LINES])
def test_a_command_line_that_cannot_be_is_refused_in_a_sentence(monkeypatch, capsys, tmp_path, tool, arguments, named):
    monkeypatch.setattr(sys, 'argv', [tool, str(tmp_path / 'run'), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(TOOLS / tool), run_name='__main__')
    assert ended.value.code not in (0, None)
    said_at_the_end = str(ended.value.code) if isinstance(ended.value.code, str) else capsys.readouterr().err
    assert named in said_at_the_end and tool in said_at_the_end
    assert not (tmp_path / 'run').exists()
