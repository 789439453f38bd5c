"""The files of ``student/`` appear when all checks have passed, and not before."""

import shutil

import pytest
import torch

import mmamd
from mmamd.files.whole import EXPORTED
from mmamd.pipeline.stages import export
from mmamd.pipeline.state import RunState

STUDENT = sorted(EXPORTED)


@pytest.fixture
def run(finished_run, tmp_path):
    return shutil.copytree(finished_run[0], tmp_path / 'run')


def exported(run):
    return sorted(path.name for path in (run / 'student').iterdir() if path.name in EXPORTED)


def fail(*_, **__):
    raise RuntimeError('the check')


def test_a_finished_run_leaves_the_student_and_no_unchecked_files(finished_run):
    assert exported(finished_run[0]) == STUDENT
    assert not (finished_run[0] / 'export' / 'unchecked').exists()


def test_a_stage_whose_files_could_not_be_removed_is_not_forgotten(run, tiny_config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr('mmamd.pipeline.stages.stage.shutil.rmtree', fail)
        with pytest.raises(RuntimeError, match='the check'):
            mmamd.compress(tiny_config(), work_dir=run, start_from='student')
    assert {'student', 'export'} <= RunState(run).content['stages'].keys()


@pytest.mark.parametrize('what', ['export_onnx', 'Export._test', 'save_model'])
def test_nothing_appears_unless_every_form_and_the_test_have_passed(run, tiny_config, monkeypatch, what):
    with monkeypatch.context() as patch:
        patch.setattr(f'mmamd.pipeline.stages.export.{what}', fail)
        with pytest.raises(RuntimeError, match='the check'):
            mmamd.compress(tiny_config(), work_dir=run, start_from='export')
    assert exported(run) == []
    with pytest.raises(FileNotFoundError, match='has not exported its student; finish it'):
        mmamd.load_student(run)
    mmamd.compress(tiny_config(), work_dir=run)
    assert exported(run) == STUDENT and not (run / 'export' / 'unchecked').exists()


def test_the_weights_come_last_and_go_first_because_others_look_for_them(finished_run, tmp_path):
    stage = export.Export(delivered=('student',), teacher='nest', images=None, loader=None, evaluator={}, seed=0)
    unchecked = tmp_path / 'export' / 'unchecked' / 'student'
    unchecked.mkdir(parents=True)
    for name in set(EXPORTED) - {'student.pth'}:
        (unchecked / name).touch()
    with pytest.raises(FileNotFoundError, match='student.pth'):  # as if it were killed there
        stage._deliver(tmp_path, 'student')
    assert exported(tmp_path) == sorted(set(EXPORTED) - {'student.pth'})


def test_weights_that_are_not_finite_are_exported_by_no_way(run, tiny_config):
    path = run / 'student' / 'trained.pth'
    state = torch.load(path, weights_only=True)
    state['state_dict']['backbone.layers.0.ln1.weight'][3] = float('nan')
    torch.save(state, path)
    stages = (run / 'stages.json').read_text()
    (run / 'stages.json').write_text(stages.replace('"outputs"', '"of an earlier version"'))
    with pytest.raises(ValueError, match=r'candidate 0.30 has numbers in backbone.layers.0.ln1.weight that are not '
                                         r'finite.*nothing is written. Redo the stage'):
        mmamd.export_model(run)
    assert not (run / 'exported').exists()
    with pytest.raises(ValueError, match="the network 'student' has numbers in backbone.layers.0.*not finite"):
        mmamd.compress(tiny_config(), work_dir=run, start_from='export')
    assert exported(run) == []
