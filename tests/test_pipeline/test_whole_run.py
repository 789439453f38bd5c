import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmpretrain import get_model

import mmamd
from mmamd.distillation import mixed_precision
from mmamd.export import cut_network
from mmamd.pipeline import summary as summary_module
from mmamd.pipeline.summary import format_summary, source_commit
from mmamd.selection.choice import replay
from mmamd.structures import CandidateFamily, Selection

# One epoch of each training: enough to see that a path through the stages exists.
SHORT = {'joint.train_cfg.max_epochs': 1, 'student.train_cfg.max_epochs': 1}
MANUAL = [dict(type='mmamd.NPSDSelectionHook', rule='manual', scale='largest')]


def accuracy(network, images, labels):
    with torch.no_grad():
        return (network(images).argmax(1) == labels).float().mean().item()


# --- one run from the teacher to the exported student ---

def test_every_stage_leaves_the_files_that_the_next_one_reads(finished_run):
    work_dir, _ = finished_run
    promised = ['score/importance.json', 'nest/family.json', 'nest/reordered.pth', 'joint/shared.pth',
                'select/selection.json', 'select/selection.png', 'student/trained.pth', 'student/student.pth',
                'student/config.py', 'student/student.safetensors', 'student/model.onnx', 'summary.json']
    assert [name for name in promised if not (work_dir / name).is_file()] == []


def test_a_student_trains_with_its_own_units_alone(finished_run):
    work_dir, summary = finished_run
    whole = sum(value.numel() for value in torch.load(
        work_dir / 'nest' / 'reordered.pth', weights_only=True)['state_dict'].values())
    *_, last = sorted((work_dir / 'student').glob('epoch_*.pth'))
    saved = torch.load(last, weights_only=False)
    weights = {name: value for name, value in saved['state_dict'].items() if name.startswith('network.')}
    assert sum(map(torch.numel, weights.values())) == summary['student']['params'] < whole
    moments = [state['exp_avg'] for state in saved['optimizer']['state'].values()]
    assert sum(map(torch.numel, moments)) <= summary['student']['params']
    delivered = torch.load(work_dir / 'student' / 'student.pth', weights_only=True)['state_dict']
    assert all(torch.equal(value, weights[f'network.{name}']) for name, value in delivered.items())


def test_summary_has_the_promised_structure(finished_run):
    work_dir, summary = finished_run
    assert json.loads((work_dir / 'summary.json').read_text()) == summary
    assert set(summary) == {'metric', 'method', 'teacher', 'selections', 'student', 'students', 'recalibration_images',
                            'cost', 'stages', 'record'}
    assert summary['metric'] == 'accuracy/top1'
    assert set(summary['teacher']) == {'value', 'macs', 'params'}
    assert set(summary['student']) == {'name', 'scale', 'value', 'macs', 'params', 'path', 'cost'}
    assert summary['students'] == [summary['student']]
    assert {name: stage['kind'] for name, stage in summary['stages'].items()} == {
        'score': 'score', 'nest': 'nest', 'joint': 'distil', 'select': 'select', 'student': 'distil',
        'export': 'export'}
    assert set(summary['cost']) == {'trainings', 'macs', 'seconds'}
    assert set(summary['record']) == {'commit', 'versions', 'seed', 'command', 'images', 'overlaps'}
    found, = summary['selections']
    assert set(found) == {'stage', 'rule', 'candidates', 'reference', 'chosen'}
    assert set(found['chosen']) == {'name', 'scale', 'value'}
    for candidate in found['candidates']:
        assert set(candidate) == {'name', 'scale', 'macs', 'params', 'value', 'stderr', 'scores', 'test_value'}


def test_the_record_has_the_commit_that_was_there_when_the_run_began(tiny_config, tmp_path, monkeypatch):
    tree = SimpleNamespace(stdout='begun\n')

    @HOOKS.register_module(name='AnotherCommitHook', force=True)
    class AnotherCommitHook(Hook):
        def before_train(self, runner):
            tree.stdout = 'trained\n'

    monkeypatch.setattr(summary_module, 'subprocess', SimpleNamespace(
        run=lambda *_, **__: tree, CalledProcessError=subprocess.CalledProcessError))
    monkeypatch.setattr(Path, 'exists', lambda path, exists=Path.exists: path.name == '.git' or exists(path))
    source_commit.cache_clear()
    try:
        summary = mmamd.compress(tiny_config(**SHORT, **{
            'method.type': 'mmamd.KD', 'custom_hooks': [dict(type='AnotherCommitHook')]}), work_dir=tmp_path)
    finally:
        source_commit.cache_clear()
    assert tree.stdout == 'trained\n' and summary['record']['commit'] == 'begun'


def test_performances_are_fractions_on_the_split_they_claim(finished_run):
    _, summary = finished_run
    candidates = summary['selections'][0]['candidates']
    # A multiple of 1/37 where the 37 held-out images were read, of 1/100 where the 100 test images were.
    held_out = [candidate['value'] for candidate in candidates]
    test = [summary['teacher']['value'], summary['student']['value'], summary['selections'][0]['chosen']['value'],
            *(candidate['test_value'] for candidate in candidates)]
    for values, images in ((held_out, 37), (test, 100)):
        assert all(0 <= value <= 1 for value in values)
        assert [value * images for value in values] == pytest.approx([round(value * images) for value in values],
                                                                     abs=1e-3)


def test_assistant_has_the_largest_npsd_and_the_student_has_none(finished_run):
    _, summary = finished_run
    found, = summary['selections']
    student, *others = found['candidates']
    assert [student['scale'], *(other['scale'] for other in others)] == [0.3, 0.5, 0.75]
    assert student['scores'] == {}
    best = max(others, key=lambda candidate: candidate['scores']['npsd'])
    assert found['chosen'] == {'name': best['name'], 'scale': best['scale'], 'value': best['test_value']}


def test_candidates_are_nested_and_within_budget(finished_run):
    work_dir, summary = finished_run
    family = CandidateFamily.load(work_dir / 'nest' / 'family.json')
    for smaller, larger in zip(family.candidates, family.candidates[1:], strict=False):
        assert all(smaller.kept[name] <= larger.kept[name] for name in larger.kept)
    for candidate in summary['selections'][0]['candidates']:
        assert candidate['macs'] <= candidate['scale'] * summary['teacher']['macs']
    assert summary['student']['macs'] == family.student.cost.macs


def test_the_teacher_teaches_all_candidates_and_the_assistant_teaches_the_student(finished_run):
    work_dir, summary = finished_run
    joint, student = (Config.fromfile(work_dir / stage / f'{stage}_settings.py').model
                      for stage in ('joint', 'student'))
    teacher, = joint.teacher
    assert (teacher.weights, teacher.kept) == (str(work_dir / 'nest' / 'reordered.pth'), None)
    assert [candidate.scale for candidate in joint.candidates] == [0.3, 0.5, 0.75]
    # The assistant is a part of the shared network, and the student starts from the weights that it shares with it.
    shared = str(work_dir / 'joint' / 'shared.pth')
    teacher, = student.teacher
    assert (teacher.weights, teacher.scale) == (shared, summary['selections'][0]['chosen']['scale'])
    assert (student.start, [candidate.scale for candidate in student.candidates]) == (shared, [0.3])


def test_loaded_student_is_as_small_and_as_good_as_the_summary_says(finished_run, digits):
    work_dir, summary = finished_run
    student = mmamd.load_student(work_dir)
    assert sum(p.numel() for p in student.parameters()) == summary['student']['params']
    assert accuracy(student, *digits('test')) == pytest.approx(summary['student']['value'])


def test_candidates_test_value_is_that_of_the_network_cut_to_it(finished_run, digits):
    work_dir, summary = finished_run
    architecture = Config.fromfile(work_dir / 'run_config.py').model.architecture
    shared = get_model(Config(dict(model=architecture)), pretrained=str(work_dir / 'joint' / 'shared.pth'))
    family = CandidateFamily.load(work_dir / 'nest' / 'family.json')
    for candidate, reported in zip(family.candidates, summary['selections'][0]['candidates'], strict=True):
        assert accuracy(cut_network(shared, candidate), *digits('test')) == pytest.approx(reported['test_value'])


def test_the_teachers_held_out_value_stands_beside_its_test_value(finished_run):
    # Far apart they say that the teacher was trained on the held-out images.
    work_dir, summary = finished_run
    measured = Selection.load(work_dir / 'select' / 'selection.json').reference
    found = summary['selections'][0]['reference']
    assert (found['name'], found['value'], found['test_value']) == (
        'teacher', measured.value, pytest.approx(summary['teacher']['value']))
    teacher, = (line for line in format_summary(summary, []).splitlines() if line.startswith('teacher'))
    assert teacher.endswith(f'{100 * found["test_value"]:.2f}')
    assert f'{100 * found["value"]:.2f} +- {100 * found["stderr"]:.2f}' in teacher
    assert 'not to a teacher that was trained on them' in (work_dir / 'report.html').read_text()


def test_a_work_dir_without_a_student_is_said_to_have_none(tmp_path):
    with pytest.raises(FileNotFoundError, match='has not exported its student; finish it'):
        mmamd.load_student(tmp_path)


# --- a second start ---

def test_a_finished_run_is_read_and_not_repeated(finished_run, tiny_config, contents, capsys):
    work_dir, summary = finished_run
    before = contents(work_dir)
    assert mmamd.compress(tiny_config(), work_dir=work_dir) == summary
    said = capsys.readouterr().out
    for stage in ('score', 'nest', 'joint', 'select', 'student', 'export'):
        assert f'{stage}: finished before, skipped' in said
    after = contents(work_dir)
    assert after.keys() == before.keys()
    # What the run says about itself is written anew; what it found is not touched.
    assert {path: stamp for path, stamp in after.items() if len(path.parts) > 1} == \
        {path: stamp for path, stamp in before.items() if len(path.parts) > 1}


def test_another_rule_is_a_replay_of_the_saved_table(finished_run):
    work_dir, _ = finished_run
    selection = Selection.load(work_dir / 'select' / 'selection.json')
    assert replay(selection, 'npsd') == selection
    assert replay(selection, 'manual', scale='largest').chosen == '0.75'
    assert replay(selection, 'manual', scale='smallest').chosen == '0.50'


@pytest.mark.slow
def test_another_rule_is_refused_until_its_stage_is_redone_without_joint_training(finished_run, tiny_config, contents,
                                                                                  tmp_path):
    work_dir = tmp_path / 'run'
    shutil.copytree(finished_run[0], work_dir)
    changed = tiny_config(custom_hooks=[tiny_config().custom_hooks[0], *MANUAL])
    before = contents(work_dir)
    with pytest.raises(ValueError, match="stage 'select'.*changed since: rule.*--start-from select"):
        mmamd.compress(changed, work_dir=work_dir)
    assert contents(work_dir) == before

    summary = mmamd.compress(changed, work_dir=work_dir, start_from='select')
    assert summary['selections'][0]['chosen']['scale'] == 0.75
    assert contents(work_dir / 'joint') == {path.relative_to('joint'): stamp for path, stamp in before.items()
                                            if path.parts[0] == 'joint'}


# --- other paths through the stages ---

def test_without_an_assistant_the_teacher_distils_straight_into_the_same_pruned_student(finished_run, tiny_config,
                                                                                        tmp_path):
    summary = mmamd.compress(tiny_config(**SHORT), work_dir=tmp_path, **{'method.type': 'mmamd.KD'})
    assert (summary['method'], summary['selections'], summary['cost']['trainings']) == ('KD', [], 1)
    assert list(summary['stages']) == ['score', 'nest', 'student', 'export']
    assert not (tmp_path / 'joint').exists()
    # The same weights, ranked and pruned the same way, as the run with an assistant.
    family, other = (CandidateFamily.load(folder / 'nest' / 'family.json') for folder in (tmp_path, finished_run[0]))
    assert family == other


@pytest.mark.slow
def test_a_trained_teacher_and_two_assistants_run_through(tiny_config, tmp_path):
    # The smallest candidate that leaves one for the second round, which is the larger of the two.
    hooks = [dict(type='mmamd.SandwichSparsityHook', sampler='all'),
             dict(type='mmamd.NPSDSelectionHook', rule='manual', scale='smallest', report_test=False)]
    config = {'custom_hooks': hooks, 'model.teacher': None, 'method.num_assistants': 2}
    summary = mmamd.compress(tiny_config(**SHORT, **config), work_dir=tmp_path)
    assert (tmp_path / 'teacher' / 'teacher.pth').is_file()
    assert summary['stages']['teacher']['seconds'] > 0
    first, second = summary['selections']
    # The second round has what is smaller than the first assistant, and is measured against that assistant.
    assert [candidate['scale'] for candidate in first['candidates']] == [0.3, 0.5, 0.75]
    assert [candidate['scale'] for candidate in second['candidates']] == [0.3, 0.5]
    assert (first['chosen']['scale'], second['chosen']['scale']) == (0.75, 0.5)
    reference = Selection.load(tmp_path / 'select_2' / 'selection.json').reference
    assert reference.scale == 0.75
    # NPSD of 0.5 against the assistant at 0.75: (P_0.5 - P_0.75) / 0.25.
    value = second['candidates'][1]['value']
    assert second['candidates'][1]['scores']['npsd'] == pytest.approx((value - reference.value) / 0.25)
    # Nothing was read of the test split but by teacher and student.
    assert [candidate['test_value'] for candidate in first['candidates']] == [None] * 3
    assert first['chosen']['value'] is None and summary['student']['value'] > 0
    # So with other test images no selection has to be made again.
    with pytest.raises(ValueError, match="stage 'export'.*changed since: images"):
        mmamd.compress(tiny_config(**SHORT, **config, **{'test_dataloader.dataset.indices': 50}), work_dir=tmp_path)


def test_mixed_precision_on_a_cpu_trains_in_bfloat16_and_exports_float32(tiny_config, tmp_path, monkeypatch):
    seen = set()
    original = torch.nn.functional.linear
    monkeypatch.setattr(mixed_precision, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(torch.nn.functional, 'linear', lambda *args: seen.add(
        (torch.is_autocast_enabled('cpu'), torch.is_grad_enabled())) or original(*args))
    config = tiny_config(**SHORT, **{'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.loss_scale': 'dynamic'})
    summary = mmamd.compress(config, work_dir=tmp_path)
    # Scoring has gradients and no autocast; training has both, its teacher autocast alone; evaluation has neither.
    assert seen == {(False, True), (True, True), (True, False), (False, False)}
    assert {value.dtype for value in mmamd.load_student(tmp_path).state_dict().values()} == {torch.float32}
    assert summary['student']['value'] > 0.15  # chance is 0.1
