"""Any candidate of a finished run can be taken out, with the weights that were trained for it, and nothing else."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmpretrain import get_model
from safetensors.torch import load_file

import mmamd
from mmamd.export import load_safetensors
from mmamd.pipeline.finished_run import load_candidate
from mmamd.structures import Selection
from mmamd.weights.networks import load_network, read_networks, save_networks

KINDS = {'joint': 'distil', 'select': 'select'}
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'export.py'


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of the finished run, to be changed and written to. Its candidates have scales 0.3, 0.5 and 0.75."""
    return shutil.copytree(finished_run[0], tmp_path / 'run')


def weights_of(path):
    return torch.load(path, weights_only=True)['state_dict']


def has_weights(network, path):
    return all(torch.equal(value, weights_of(path)[key]) for key, value in network.state_dict().items())


def mark(run, **finished):
    state = json.loads((run / 'stages.json').read_text())
    for stage, is_finished in finished.items():
        kind = KINDS.get(stage.partition('_')[0])
        state['stages'].setdefault(stage, {'seconds': 0., 'kind': kind})['finished'] = is_finished
    (run / 'stages.json').write_text(json.dumps(state))


# --- whose weights ---

def test_the_student_has_the_weights_of_its_own_stage(run):
    for scale in ('student', 0.3):
        _, network, candidate = load_candidate(run, scale)
        assert candidate.scale == 0.3
        assert has_weights(network, run / 'student' / 'trained.pth')
        assert not network.training


def test_another_candidate_has_the_weights_of_the_joint_stage(run):
    _, network, candidate = load_candidate(run, 0.75)
    assert candidate.scale == 0.75
    assert has_weights(network, run / 'joint' / 'shared.pth')


def test_the_assistant_is_the_candidate_that_was_chosen(run):
    _, network, candidate = load_candidate(run, 'assistant')
    assert candidate.scale == Selection.load(run / 'select' / 'selection.json').winner.scale
    assert has_weights(network, run / 'joint' / 'shared.pth')


@pytest.mark.parametrize('scale', ['teacher', 1.0])
def test_the_teacher_is_a_candidate_of_all_units(run, digits, tmp_path, scale):
    mmamd.export_model(run, ['pth'], scale, tmp_path)
    whole = load_network(run, 'nest')
    assert load_candidate(run, scale)[2].kept == {group.name: group.count for group in whole.backbone.unit_groups()}
    images, _ = digits('test')
    model = get_model(str(tmp_path / 'config.py'), pretrained=str(tmp_path / 'model.pth'))
    assert torch.equal(model(images), whole(images))


def test_with_two_assistants_each_candidate_is_as_the_last_stage_left_it_that_trained_it(run):
    # 0.75 is the first assistant and 0.5 the second: only the second joint stage trained 0.5 last.
    networks = read_networks(run, 'joint')
    state = {key: value + 1 for key, value in weights_of(run / 'joint' / 'shared.pth').items()}
    (run / 'joint_2').mkdir()
    torch.save({'state_dict': state}, run / 'joint_2' / 'shared.pth')
    again = {key: replace(networks[key], weights=str(run / 'joint_2' / 'shared.pth')) for key in ('0.30', '0.50')}
    save_networks(run, 'joint_2', again)
    save_networks(run, 'select', {'0.75': networks['0.75']})
    save_networks(run, 'select_2', {'0.50': again['0.50']})
    mark(run, joint_2=True, select_2=True)
    for scale, number in ((0.75, 1), (0.5, 2), ('assistant', 2)):
        _, network, _ = load_candidate(run, scale)
        assert has_weights(network, run / ('joint_2' if number == 2 else 'joint') / 'shared.pth')


# --- what the run writes by itself, and what it writes when asked ---

def test_the_run_leaves_the_student_as_safetensors_beside_the_pth(finished_run):
    folder = finished_run[0] / 'student'
    pth, tensors = weights_of(folder / 'student.pth'), load_file(folder / 'student.safetensors')
    assert tensors.keys() == pth.keys() and all(torch.equal(tensors[key], pth[key]) for key in pth)
    images = torch.randn(2, 3, 8, 8)
    student = mmamd.load_student(finished_run[0])
    assert torch.equal(load_safetensors(folder / 'student.safetensors')(images), student(images))


def test_the_exported_student_is_the_one_that_the_run_left(run, digits):
    written, = mmamd.export_model(run)
    folder = run / 'exported' / '0.30'
    assert set(written.files) == {folder / 'model.pth', folder / 'config.py'}
    images, _ = digits('test')
    model = get_model(str(folder / 'config.py'), pretrained=str(folder / 'model.pth'))
    assert torch.equal(model(images), mmamd.load_student(run)(images))


def test_exporting_changes_nothing_of_the_run(run, tmp_path, contents):
    before = contents(run)
    mmamd.export_model(run, ['safetensors'], 0.5, tmp_path / 'elsewhere')
    assert contents(run) == before


# --- the tool ---

def export(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True,
                          env={'PYTHONPATH': str(TOOL.parents[1]), 'OMP_NUM_THREADS': '1', 'PATH': '/usr/bin:/bin'})


@pytest.mark.slow
def test_the_tool_writes_the_assistant_in_several_forms_and_prints_a_table(run, tmp_path):
    out = tmp_path / "it's an assistant"
    done = export(run, '--form', 'safetensors', 'timm', '--scale', 'assistant', '--out', out)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ['model.safetensors', 'timm_model.py',
                                                           'timm_model.safetensors']
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert f'{(out / "model.safetensors").stat().st_size:,}' in lines['safetensors'] and 'timm' in lines
    assert lines['in'] == f'in {out}'

    done = export(run, '--form', 'timm', '--scale', 'assistant', '--out', out)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith('export.py: ') and 'are there already' in done.stderr
    assert 'Traceback' not in done.stderr


# --- bad input ---

@pytest.mark.parametrize('scale, match', [
    (0.33, r"no network of scale 0.33; expected one of \[0.3, 0.5, 0.75\], 'student', 'assistant' or 'teacher'; the "
           'nearest is 0.3'),
    (0.99, 'no network of scale 0.99.*the nearest is 0.75'),
    ('pupil', r"no network of scale 'pupil'; expected one of \[0.3"),
    ('studnet', 'Did you mean student')])
def test_a_scale_that_the_run_has_not_is_answered_with_those_it_has(finished_run, scale, match):
    with pytest.raises(ValueError, match=match):
        load_candidate(finished_run[0], scale)


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'holds no run \(stages.json is missing\); give the work_dir of a run'):
        load_candidate(tmp_path)
    (tmp_path / 'stages.json').write_text('{"format": 2, "seed": 0, "stages": {}}')
    with pytest.raises(FileNotFoundError, match='holds no run_config.json, so no run; give the work_dir'):
        load_candidate(tmp_path)


@pytest.mark.parametrize('scale, missing', [('student', 'student'), (0.5, 'joint'), ('assistant', 'select')])
def test_a_stage_that_has_not_finished_is_named(run, scale, missing):
    mark(run, **{missing: False})
    with pytest.raises(FileNotFoundError, match=f"the stage '{missing}' of .* has not finished; continue the run by"):
        load_candidate(run, scale)


def test_before_the_student_is_trained_the_other_candidates_are_there(run):
    mark(run, student=False, export=False)
    with pytest.raises(FileNotFoundError, match="in the stages before it: scale 'assistant', or a number"):
        load_candidate(run)
    assert load_candidate(run, 'assistant')[2].scale > 0.3


def test_by_plain_distillation_the_student_alone_has_been_trained(tiny_config, tmp_path):
    mmamd.compress(tiny_config(**{'method.type': 'mmamd.KD', 'student.train_cfg.max_epochs': 1}), work_dir=tmp_path)
    assert load_candidate(tmp_path)[2].scale == 0.3
    with pytest.raises(ValueError, match=r'has made no network of scale 0.5; expected one of \[0.3\]'):
        load_candidate(tmp_path, 0.5)
    with pytest.raises(ValueError, match="a run of KD, which chooses no assistant on the way; export scale 'student'"):
        load_candidate(tmp_path, 'assistant')


def test_a_run_of_an_earlier_version_is_refused(run):
    state = json.loads((run / 'stages.json').read_text())
    del state['format']
    (run / 'stages.json').write_text(json.dumps(state))
    with pytest.raises(ValueError, match='holds a run in format 1 of another version of mmamd, and this one reads '
                                         'format 2; finish it with that version, or give another --work-dir'):
        load_candidate(run)
