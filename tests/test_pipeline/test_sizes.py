"""A run that delivers several students, and one that finds the size of its student."""

import json
import shutil
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmamd
from mmamd.files.json_file import write_json
from mmamd.pipeline import MultiStepRunner
from mmamd.pipeline.config.compression import Compression
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.config.sizes import LatencySettings
from mmamd.pipeline.context import Context
from mmamd.pipeline.finished_run import load_candidate
from mmamd.pipeline.progress import Progress
from mmamd.pipeline.sizing import known_before, lay_stages, size_found, students_of
from mmamd.pipeline.stages import STAGES, Distil, Latency
from mmamd.pipeline.stages.latency import largest_within, median_seconds
from mmamd.pipeline.stages.size import read_size
from mmamd.pipeline.state import RunState
from mmamd.pipeline.status import format_status
from mmamd.pipeline.summary import _students_named, format_summary
from mmamd.selection.keep import smallest_that_keeps
from mmamd.selection.size_text import size_sentences

SMALL = {'student.train_cfg.max_epochs': 1, 'visualizer': None, 'train_dataloader.num_workers': 0,
         'train_dataloader.dataset.dataset.indices': 118, 'val_dataloader.dataset.dataset.indices': 118,
         'compression.importance.num_images': 32, 'test_dataloader.dataset.indices': 20,
         'compression.refit': dict(num_images=32, num_images_candidates=32, num_reported=0),
         'randomness.seed': 0}
KD = {'method': dict(_delete_=True, type='mmamd.KD')}


@pytest.fixture(scope='module')
def family_run(tiny_config, tmp_path_factory):
    """(work_dir, summary) of a run by plain distillation of two students. Look at it; run in a copy."""
    work_dir = tmp_path_factory.mktemp('family') / 'run'
    cfg = tiny_config(**{**SMALL, **KD, 'compression.student_scale': [0.25, 0.4], 'compression.refit': None})
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
    with pytest.raises(FileNotFoundError, match=r'delivers several students, .*; give the scale of one, \[0.25, 0.4\]'):
        mmamd.load_student(work_dir)
    with pytest.raises(FileNotFoundError, match=r'delivers no student of scale 0.3; expected one of \[0.25, 0.4\]'):
        mmamd.load_student(work_dir, scale=0.3)


def test_a_candidate_of_many_students_takes_little_place():
    assert [_students_named(['0.10', '0.15', '0.25'][:num], 3) for num in (0, 1, 2, 3)] == [
        '', '0.10', '0.10, 0.15', 'all']
    assert _students_named(['0.10', '0.15', '0.25'], 4) == '3 students'


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


def test_terminal_and_status_name_every_student(family_run):
    work_dir, summary = family_run
    text = format_summary(summary, [])
    for each in summary['students']:
        value = f'{100 * each["value"]:.2f}'
        assert any(line.startswith(f'student {each["scale"]:.2f}') and line.endswith(value)
                   for line in text.splitlines())
        assert f'student {each["scale"]:.2f} {value}' in format_status(work_dir)
    assert '    student 0.25: ' in text


# --- a size that the run finds ---

AUTO = {'compression.student_scale': 'auto', 'compression.keep': 0.999}


def test_of_a_teacher_that_has_nothing_nothing_can_be_kept():
    teacher = SimpleNamespace(value=0.)
    with pytest.raises(ValueError, match='the teacher has 0 on the held-out images, .*give compression.student_scale'):
        smallest_that_keeps([], teacher, 0.9, [0.1, 0.2])


@pytest.mark.slow
@pytest.mark.draws
def test_a_size_that_misses_is_followed_by_the_next_one_up_also_when_it_is_interrupted(tiny_config, tmp_path,
                                                                                      monkeypatch):
    monkeypatch.setattr('mmamd.pipeline.stages.size.smallest_that_keeps', lambda *_: 0.25)
    carry_out = Distil.carry_out

    def until_the_second(stage, context):
        if stage.name == 'student_0.50':
            raise KeyboardInterrupt
        carry_out(stage, context)

    cfg = tiny_config(**SMALL, **AUTO, custom_hooks=[dict(type='mmamd.NPSDSelectionHook', report_test=False)])
    monkeypatch.setattr(Distil, 'carry_out', until_the_second)
    with pytest.raises(KeyboardInterrupt):
        mmamd.compress(cfg, work_dir=tmp_path)
    assert not (tmp_path / 'student').exists()
    monkeypatch.setattr(Distil, 'carry_out', carry_out)
    summary = mmamd.compress(cfg, work_dir=tmp_path)
    of_each = ('select', 'refit_final', 'student', 'verify')
    assert list(summary['stages'])[2:] == ['refit', 'size', *(f'{name}_{scale}' for scale in ('0.25', '0.50')
                                                              for name in of_each), 'export']
    assert [each['scale'] for each in summary['size']['tried']] == [0.25, 0.5]
    assert [(each['name'], each['scale']) for each in summary['students']] == [('student_0.50', 0.5)]
    assert summary['students'][0]['cost']['macs'] == pytest.approx(summary['cost']['macs']), 'what missed is paid for'
    assert (tmp_path / 'student' / 'student.pth').is_file() and mmamd.load_student(tmp_path) is not None
    kept = summary['size']['tried'][0]['kept']
    assert kept < 0.999 and f'0.25 keeps {kept:.1%}' in format_summary(summary, [])
    assert f'0.25 keeps {kept:.1%}' in (tmp_path / 'report.html').read_text()
    tables = [json.loads((tmp_path / stage / 'selection.json').read_text())
              for stage in ('size', 'select_0.25', 'select_0.50')]
    assert tables[0]['measurements'] == tables[1]['measurements'] == tables[2]['measurements']
    assert [table['above'] for table in tables] == [None, 0.25, 0.5]


def test_the_stages_are_laid_anew_by_what_a_deciding_one_has_found(tiny_config, tmp_path, monkeypatch):
    cfg = tiny_config(**SMALL, **KD, **AUTO)
    context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
    state, runner = RunState(tmp_path), MultiStepRunner.from_cfg(Config(dict(work_dir=str(tmp_path))))
    leaves = {'size': dict(scale=0.25), **{f'verify_{scale}': dict(keep=0.9, kept=kept)
                                           for scale, kept in (('0.25', 0.8), ('0.50', 0.95))}}

    def carry(stage, context, state):
        if stage.name in leaves:
            write_json(tmp_path / stage.name / 'size.json', leaves[stage.name])
        state.content['stages'][stage.name] = {'finished': True}

    monkeypatch.setattr(runner, '_carry', carry)
    for kind in STAGES.values():  # what they check is not asked here, and takes seconds
        monkeypatch.setattr(kind, 'check', lambda *_: None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        context.progress = Progress({stage.name: 1. for stage in lay_stages(context, state)})
        assert state.content['stages'] == {} and context.students == (0.25,)
        runner._carry_all(context, state)
    assert list(state.content['stages']) == ['score', 'nest', 'refit', 'size', 'student_0.25', 'verify_0.25',
                                             'student_0.50', 'verify_0.50', 'export']
    assert state.content['delivered'] == ['student_0.50']
    assert [stage.name for stage in context.progress.snapshot().stages] == list(state.content['stages'])


def of_stages(folder, **found):
    """State of a run whose stages have found sizes; a size that is None has not been found yet."""
    stages = {}
    for name, content in found.items():
        stages[name] = {'kind': name.partition('_')[0], 'finished': content is not None}
        if content is not None:
            write_json(folder / name / 'size.json', content)
    write_json(folder / 'stages.json', {'format': 2, 'seed': 0, 'method': 'KD', 'delivered': [], 'stages': stages})
    return RunState(folder)


def test_the_size_to_try_follows_from_what_the_stages_have_left(tmp_path):
    compression = Compression('auto', num_candidates=4, keep=0.9)
    missed, kept = (dict(scale=0.4, keep=0.9, kept=value, value=0.5, teacher=0.6) for value in (0.89, 0.9))
    size = dict(scale=0.4, keep=0.9)
    assert students_of(compression, RunState(tmp_path / 'new')) == (0.2,)
    assert students_of(compression, of_stages(tmp_path / 'a', size=None)) == (0.2,)
    assert students_of(compression, of_stages(tmp_path / 'b', size=size)) == (0.4,)
    state = of_stages(tmp_path / 'c', size=size, **{'verify_0.40': missed})
    assert students_of(compression, state) == (0.4, 0.6)
    assert students_of(compression, known_before(state, 'verify_0.40')) == (0.4,)
    assert students_of(compression, known_before(state, 'size')) == (0.2,)
    assert students_of(compression, of_stages(tmp_path / 'd', size=size, **{'verify_0.40': kept})) == (0.4,)
    # 0.8 is the largest candidate, above which there is no assistant.
    last = of_stages(tmp_path / 'e', size=size, **{'verify_0.40': missed, 'verify_0.60': missed})
    assert students_of(compression, last) == (0.4, 0.6)
    assert not size_found(tmp_path / 'e', last)['is_met']
    assert 'no size that a student may have keeps it' in size_sentences({'size': size_found(tmp_path / 'e', last)})[0]


# --- latency ---

def test_the_largest_size_that_is_fast_enough_is_taken():
    settings = LatencySettings('2ms')
    assert largest_within({0.25: 0.001, 0.5: 0.0019, 0.75: 0.0021}, settings) == 0.5
    with pytest.raises(ValueError, match="latency='2ms' is met by no candidate: the smallest, 0.25, takes 3 ms of "
                                         'onnxruntime at batch 1; allow more time'):
        largest_within({0.25: 0.003, 0.5: 0.004}, settings)


@pytest.mark.parametrize('runtime', ['onnxruntime', 'torch'])
def test_a_network_is_timed_by_either_runtime(make_distiller, monkeypatch, runtime):
    monkeypatch.setattr('mmamd.pipeline.stages.latency.SECONDS', 0.001)
    assert 0 < median_seconds(make_distiller().network.eval(), (3, 8, 8), 2, runtime) < 1


def test_the_stage_takes_its_size_from_the_times_and_says_how_they_were_measured(tiny_config, family_run, tmp_path,
                                                                                monkeypatch):
    shutil.copytree(family_run[0] / 'nest', tmp_path / 'nest')
    cfg = tiny_config(**{**SMALL, 'compression.student_scale': 'auto', 'compression.latency': dict(
        most='4ms', batch_size=3), 'compression.scales': [0.25, 0.4, 0.5, 0.75]})
    context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
    monkeypatch.setattr('mmamd.pipeline.stages.latency.median_seconds', lambda small, shape, batch_size, runtime: (
        1e-7 * batch_size * sum(p.numel() for p in small.parameters())))
    stage = Latency.of(context)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        stage.carry_out(context)
    found = read_size(tmp_path, 'size')
    # 0.25, 0.4 and 0.5 have 7,818, 11,791 and 14,399 parameters, for 3e-7 s each: 2.3, 3.5 and 4.3 ms.
    assert stage.sizes == (0.25, 0.4, 0.5) and list(found['seconds']) == ['0.25', '0.40', '0.50']
    assert (found['scale'], found['batch_size'], found['runtime'], found['device']) == (0.4, 3, 'onnxruntime', 'cpu')
