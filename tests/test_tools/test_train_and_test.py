"""The command line of train.py and test.py: MMPretrain's arguments, one process or several."""

import json
import sys
from pathlib import Path

import mmpretrain
import pytest
import torch
from command_line import TINY, TOOLS, load, parser_of, run, tool
from mmengine.config import Config

import mmamd
from mmamd.pipeline.config.settings import section_settings

HOST_TOOLS = Path(mmpretrain.__file__).parent / '.mim' / 'tools'


# --- the arguments ---

def arguments_of(script, monkeypatch):
    """Option strings -> (number of values, value of the bare option, default, choices)."""
    return {tuple(action.option_strings) or action.dest: (action.nargs, action.const, action.default, action.choices)
            for action in parser_of(script, monkeypatch)._actions}


@pytest.mark.parametrize('name, more', [('train.py', {('--start-from',)}), ('test.py', set())])
def test_a_tool_takes_mmpretrains_arguments(name, more, monkeypatch):
    ours, hosts = (arguments_of(folder / name, monkeypatch) for folder in (TOOLS, HOST_TOOLS))
    assert ours.keys() - hosts.keys() == more
    assert {key: ours[key] for key in hosts} == hosts


def merged(monkeypatch, *arguments):
    """The config that train.py runs for these arguments."""
    train = load(TOOLS / 'train.py')
    monkeypatch.setattr(sys, 'argv', ['train.py', str(TINY), *arguments])
    config = Config.fromfile(TINY)
    train.merge_args(config, train.parse_args())
    return config


def test_the_default_work_dir_is_named_after_the_config(monkeypatch):
    assert merged(monkeypatch).work_dir == 'work_dirs/tiny_config'
    assert merged(monkeypatch, '--work-dir', 'elsewhere').work_dir == 'elsewhere'


def test_config_options_win_over_arguments(monkeypatch):
    config = merged(monkeypatch, '--work-dir', 'a', '--cfg-options', 'work_dir=b', 'joint.train_cfg.max_epochs=7')
    assert (config.work_dir, config.joint.train_cfg.max_epochs) == ('b', 7)


def test_resume_takes_the_last_checkpoint_or_the_one_that_is_named(monkeypatch):
    config = merged(monkeypatch)
    assert not config.resume
    config = merged(monkeypatch, '--resume')
    assert (config.resume, config.load_from) == (True, None)
    config = merged(monkeypatch, '--resume', 'joint/epoch_2.pth')
    assert (config.resume, config.load_from) == (True, 'joint/epoch_2.pth')


def test_mixed_precision_and_learning_rate_scaling_reach_every_training_stage(monkeypatch):
    config = merged(monkeypatch, '--amp', '--auto-scale-lr')
    for stage in ('joint', 'student'):
        settings = section_settings(config, stage)
        assert (settings.optim_wrapper.type, settings.auto_scale_lr.enable) == ('AmpOptimWrapper', True)


def test_without_validation_the_assistant_is_still_chosen_on_held_out_images(monkeypatch):
    config = merged(monkeypatch, '--no-validate')
    assert config.val_dataloader is not None and config.val_evaluator is not None


def test_a_pipeline_never_gets_persistent_workers_because_they_do_not_resume_exactly(monkeypatch):
    config = merged(monkeypatch)
    assert not any(config[f'{split}_dataloader'].persistent_workers for split in ('train', 'val', 'test'))


# --- the whole method from the command line ---

def test_two_processes_carry_the_config_through_all_stages(work_dir):
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert list(summary['stages']) == ['teacher', 'score', 'nest', 'joint', 'select', 'student', 'export']
    assert summary['cost']['trainings'] == 3 and summary['cost']['seconds'] > 0
    assert Config.fromfile(work_dir / 'run_config.py').visualizer.name == "it's$HOME"
    # Every held-out and every test image was counted once, though 37 is odd: shares of 37 and of 100.
    for candidate in summary['selections'][0]['candidates']:
        assert candidate['value'] * 37 == pytest.approx(round(candidate['value'] * 37), abs=1e-3)
        assert candidate['test_value'] * 100 == pytest.approx(round(candidate['test_value'] * 100), abs=1e-3)
    weights = torch.load(work_dir / 'student' / 'student.pth', weights_only=True)['state_dict']
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert mmamd.load_student(work_dir).backbone.num_layers == 2


def test_the_terminal_shows_one_table_of_all_stages_and_below_it_the_summary(two_processes):
    stages = ['teacher', 'score', 'nest', 'joint', 'select', 'student', 'export', 'run']
    lines = [line for line in two_processes.screen if line]
    # A bar of 24 signs is the table's alone; the second rank draws none. What that rank warns of goes to the terminal
    # behind the display's back, and a warning in the middle of a drawing leaves a line of the table behind.
    drawn = [i for i, line in enumerate(lines) if '\u2501' * 24 in line]
    assert len(drawn) < 2 * len(stages)
    drawn = drawn[-len(stages):]
    assert [lines[i].split()[0] for i in drawn] == stages
    assert all(lines[i].split()[2] == '100%' for i in drawn)
    summary = [i for i, line in enumerate(lines) if line.startswith(('network ', 'seconds: ', 'student: '))]
    assert len(summary) == 3 and summary[0] > drawn[-1]


def test_its_status_could_be_read_all_the_while(two_processes):
    assert {state for state, _ in two_processes.seen} <= {'running', 'finished'}
    stages = [stage for state, stage in two_processes.seen if state == 'running' and stage]
    assert {'teacher', 'joint', 'select', 'student', 'export'} <= set(stages)


@pytest.mark.slow
def test_the_exported_student_tests_as_the_summary_says(work_dir, tmp_path):
    student = work_dir / 'student'
    tool('test.py', student / 'config.py', student / 'student.pth', '--work-dir', tmp_path / 'one process',
         '--out', tmp_path / 'the metrics.json', '--out-item', 'metrics')
    run(TOOLS / 'dist_test.sh', student / 'config.py', student / 'student.pth', '2',
        '--work-dir', tmp_path / 'two processes', '--out', tmp_path / 'two.json', '--out-item', 'metrics')
    expected = json.loads((work_dir / 'summary.json').read_text())['student']['value']
    assert json.loads((tmp_path / 'the metrics.json').read_text())['accuracy/top1'] / 100 == pytest.approx(expected)
    assert json.loads((tmp_path / 'two.json').read_text())['accuracy/top1'] / 100 == pytest.approx(expected)


def test_weights_of_another_network_are_no_checkpoint_to_test(finished_run, teacher, monkeypatch, tmp_path):
    config = finished_run[0] / 'student' / 'config.py'
    monkeypatch.setattr(sys, 'argv', ['test.py', str(config), str(teacher), '--work-dir', str(tmp_path)])
    with pytest.raises(ValueError, match='teacher.pth does not fit the network: .* in the checkpoint and .* in the '):
        load(TOOLS / 'test.py').main()
    assert not list(tmp_path.rglob('*.json'))
