"""A run that delivers several students, and one that finds the size of its student."""

import json

import pytest

import mmamd
from mmamd.pipeline.finished_run import load_candidate
from mmamd.pipeline.status import format_status
from mmamd.pipeline.summary import format_summary

SMALL = {'student.train_cfg.max_epochs': 1, 'visualizer': None, 'train_dataloader.num_workers': 0,
         'train_dataloader.dataset.dataset.indices': 118, 'val_dataloader.dataset.dataset.indices': 118,
         'compression.importance.num_images': 32, 'test_dataloader.dataset.indices': 20,
         'compression.refit': dict(num_images=32, num_images_candidates=32, num_reported=0),
         'randomness.seed': 0}
HOOKS = [dict(type='mmamd.NPSDSelectionHook', report_test=False)]


@pytest.fixture(scope='module')
def family_run(tiny_config, tmp_path_factory):
    """(work_dir, summary) of a run by AMD with refit candidates and two students. Look at it; run in a copy."""
    work_dir = tmp_path_factory.mktemp('family') / 'run'
    cfg = tiny_config(**SMALL, custom_hooks=HOOKS, **{'compression.student_scale': [0.25, 0.4]})
    with pytest.MonkeyPatch.context() as patched:
        for name in ('write_report', '_show'):  # drawn by a test of its own
            patched.setattr(f'mmamd.pipeline.summary.{name}', lambda *_: None)
        return work_dir, mmamd.compress(cfg, work_dir=work_dir)


def test_each_student_is_exported_beside_the_others(family_run):
    work_dir, summary = family_run
    assert sorted(path.name for path in (work_dir / 'student').iterdir()) == ['student_0.25', 'student_0.40']
    assert [(each['name'], each['scale']) for each in summary['students']] == [
        ('student_0.25', 0.25), ('student_0.40', 0.4)]
    sizes = [sum(p.numel() for p in mmamd.load_student(work_dir, scale=scale).parameters()) for scale in (0.25, 0.4)]
    assert sizes == [each['params'] for each in summary['students']] and sizes[0] < sizes[1]
    with pytest.raises(FileNotFoundError, match=r'delivers several students, .*; give scale=, one of \[0.25, 0.4\]'):
        mmamd.load_student(work_dir)
    with pytest.raises(FileNotFoundError, match=r'delivers no student of scale 0.3; expected one of \[0.25, 0.4\]'):
        mmamd.load_student(work_dir, scale=0.3)


def test_export_takes_a_student_by_its_scale(family_run):
    work_dir, _ = family_run
    assert load_candidate(work_dir, 0.4)[2].weights == str(work_dir / 'student_0.40' / 'trained.pth')
    with pytest.raises(ValueError, match=r"delivers several students; give the scale of one, \[0.25, 0.4\]"):
        load_candidate(work_dir, 'student')


def test_costs_of_the_students_add_up_to_that_of_the_run(family_run):
    _, summary = family_run
    costs = [each['cost'] for each in summary['students']]
    assert sum(cost['macs'] for cost in costs) == pytest.approx(summary['cost']['macs'])
    assert costs[0]['macs'] < costs[1]['macs']


def test_the_second_choice_is_made_from_the_measurements_of_the_first(family_run):
    work_dir, _ = family_run
    first, second = (json.loads((work_dir / f'select_{each}' / 'selection.json').read_text())
                     for each in ('0.40', '0.25'))
    assert first['measurements'] == second['measurements'] and (first['above'], second['above']) == (0.4, 0.25)
    assert second['scores']['npsd'][1] is not None and first['scores']['npsd'][1] is None


def test_terminal_and_status_name_every_student(family_run):
    work_dir, summary = family_run
    text = format_summary(summary, [])
    for each in summary['students']:
        value = f'{100 * each["value"]:.2f}'
        assert any(line.startswith(f'student {each["scale"]:.2f}') and line.endswith(value)
                   for line in text.splitlines())
        assert f'student {each["scale"]:.2f} {value}' in format_status(work_dir)
    assert 'for the student 0.25' in text


# --- a size that the run finds ---

AUTO = {**SMALL, 'compression.student_scale': 'auto', 'method': dict(_delete_=True, type='mmamd.KD')}


@pytest.fixture(scope='module')
def auto_config(tiny_config):
    """Function that makes the config of a run that finds the size of its student, by plain distillation."""
    return lambda **overrides: tiny_config(**AUTO, custom_hooks=HOOKS, **overrides)


def test_a_size_that_misses_is_followed_by_the_next_one_up(auto_config, tmp_path, monkeypatch):
    # Everything is expected to keep 0.99 of the teacher, and nothing does after an epoch.
    monkeypatch.setattr('mmamd.pipeline.stages.size.GAIN', 1.)
    summary = mmamd.compress(auto_config(**{'compression.keep': 0.999}), work_dir=tmp_path)
    print(summary['size'], list(summary['stages']))
    assert [each['scale'] for each in summary['size']['tried']] == [0.25, 0.5]
