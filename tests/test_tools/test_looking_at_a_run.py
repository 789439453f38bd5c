"""The tools that look at a run or a config, as a user starts them."""

import json
import shutil
import sys

import pytest
from command_line import TINY, TOOLS, load, tool

from mmamd.structures import Selection


@pytest.fixture
def copy(work_dir, tmp_path):
    folder = tmp_path / 'it\'s a "copy" of $HOME'
    shutil.copytree(work_dir, folder)
    return folder


def test_the_status_of_a_run_is_printed(work_dir):
    printed = tool('status.py', work_dir)
    assert printed.startswith(f'{work_dir}: finished ')
    assert 'student' in printed and 'select, chosen: ' in printed


def test_a_choice_is_replayed_and_written(copy):
    table = copy / 'select' / 'selection.json'
    scale = '0.5' if Selection.load(table).winner.scale == 0.75 else '0.75'
    printed = tool('replay_selection.py', copy, '--rule', 'manual', '--scale', scale, '--write')
    assert Selection.load(table).winner.scale == float(scale)
    command = printed.splitlines()[-1].strip()
    assert command.startswith('tools/dist_train.sh ') and command.endswith('--start-from student')


def test_the_exported_student_is_counted(work_dir):
    printed = tool('get_flops.py', work_dir / 'student' / 'config.py')
    student = json.loads((work_dir / 'summary.json').read_text())['student']
    assert f'{student["macs"]:,}' in printed and f'{student["params"]:,}' in printed


# --- without a process of their own ---

@pytest.fixture
def main(monkeypatch):
    """Function that does in this process what a tool does with some arguments."""
    def call(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        load(TOOLS / name).main()

    return call


def test_a_choice_is_only_looked_at_unless_it_is_to_be_written(copy, main, capsys):
    before = Selection.load(copy / 'select' / 'selection.json')
    main('replay_selection.py', copy, '--rule', 'manual', '--scale', 'smallest')
    main('replay_selection.py', copy, '--rule', 'manual', '--scale', 'largest')
    main('replay_selection.py', copy, '--rule', before.rule, '--write')
    printed = capsys.readouterr().out
    assert printed.count('nothing was written, --write makes it so') == 1
    assert printed.count('nothing to change') == 2  # one of the two that there are, and the same rule again
    assert Selection.load(copy / 'select' / 'selection.json') == before


def test_a_network_of_another_image_size_and_head_is_counted(work_dir, main, capsys):
    main('get_flops.py', work_dir / 'student' / 'config.py', '--shape', '16',
         '--cfg-options', 'model.head.num_classes=7')
    printed = capsys.readouterr().out
    assert 'one image of 3 x 16 x 16' in printed
    assert ['rest', '224', '231'] in [line.split() for line in printed.splitlines()]  # 32 x 7, and 7 biases


@pytest.mark.parametrize('command, file', [
    (['export.py', '--form', 'pth'], 'model.pth'), (['visualise.py', '--only', 'report'], 'report.html')])
def test_files_are_written_into_a_folder_of_any_name(command, file, copy, main):
    (copy / 'report.html').unlink()
    main(command[0], copy, *command[1:])
    assert list(copy.rglob(file))


@pytest.mark.parametrize('command, message', [
    (['status.py', 'no such run'], 'status.py: no such run holds no progress.json'),
    (['replay_selection.py', 'no such run', '--rule', 'npsd'], 'replay_selection.py: no such run has no finished'),
    (['get_flops.py', 'no such config.py'], 'get_flops.py: .*no such config.py'),
    (['get_flops.py', str(TINY), '--cfg-options', 'model=None'], 'get_flops.py: there is no network to count')])
def test_what_is_not_there_is_refused_in_one_line(command, message, main):
    with pytest.raises(SystemExit, match=message):
        main(*command)


@pytest.mark.parametrize('shape', [['0'], ['8', '-8'], ['8', '8', '3']])
def test_a_shape_that_is_none_is_refused(shape, main, capsys):
    with pytest.raises(SystemExit):
        main('get_flops.py', TINY, '--shape', *shape)
    assert '--shape takes one or two positive numbers' in capsys.readouterr().err
