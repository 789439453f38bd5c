"""The manual search: a student of every assistant, the best kept, in the one runner."""

import pytest
import torch

import mmamd
from mmamd.methods.mmd import MMD
from mmamd.pipeline.finished_run import load_candidate
from mmamd.structures import Selection
from mmamd.weights.networks import find_network

SHORT = {'method.type': 'mmamd.MMD', 'student.train_cfg.max_epochs': 1}


@pytest.fixture(scope='module')
def searched(tiny_config, tmp_path_factory):
    """(work_dir, summary) of a search over both candidates of the tiny config. Look at it."""
    work_dir = tmp_path_factory.mktemp('mmd') / 'run'
    return work_dir, mmamd.compress(tiny_config(**SHORT), work_dir=work_dir)


def test_every_assistant_is_taught_by_the_teacher_and_teaches_a_student(searched):
    work_dir, summary = searched
    assert list(summary['stages']) == ['score', 'nest', 'assistant_0.50', 'student_0.50', 'assistant_0.75',
                                       'student_0.75', 'select', 'export']
    for key in ('0.50', '0.75'):
        assistant, student = find_network(work_dir, f'assistant_{key}'), find_network(work_dir, f'student_{key}')
        assert (assistant.key, student.key) == (key, '0.30')
        assert all(student.kept[name] <= assistant.kept[name] for name in student.kept)


def test_the_best_student_on_held_out_images_is_delivered(searched):
    work_dir, summary = searched
    found, = summary['selections']
    best = max(found['candidates'], key=lambda candidate: candidate['value'])
    assert found['rule'] == 'best' and found['chosen']['name'] == best['name']
    delivered = torch.load(work_dir / best['name'] / 'trained.pth', weights_only=True)['state_dict']
    _, network, _ = load_candidate(work_dir)
    assert all(torch.equal(value, delivered[key]) for key, value in network.state_dict().items())
    small = mmamd.load_student(work_dir)
    assert sum(p.numel() for p in small.parameters()) == summary['student']['params']


def test_the_cost_is_that_of_all_trainings(searched):
    _, summary = searched
    assert summary['cost']['trainings'] == 4
    teacher, student = summary['teacher']['macs'], summary['student']['macs']
    macs = {name: stage['macs'] for name, stage in summary['stages'].items()}
    images = 10 * 16  # ten steps of sixteen
    assert macs['assistant_0.50'] == images * (teacher + 3 * 65984)  # of the recorded family
    assert macs['student_0.50'] == images * (65984 + 3 * student)
    assert summary['cost']['macs'] == sum(macs.values())


@pytest.mark.slow
def test_the_cost_is_what_passes_forward_and_backward_compute(run_small):
    summary, counted = run_small(**SHORT)
    assert summary['cost']['trainings'] == len(counted) == 4
    assert {name: summary['stages'][name]['macs'] for name in counted} == counted


def test_the_report_shows_the_table_of_students(searched):
    work_dir, _ = searched
    selection = Selection.load(work_dir / 'select' / 'selection.json')
    assert [m.key for m in selection.measurements] == ['student_0.50', 'student_0.75'] and not selection.has_scales
    report = (work_dir / 'report.html').read_text()
    assert all(name in report for name in ('student_0.50', 'student_0.75', 'Choice of the student'))


def test_some_assistants_may_be_named_and_none_that_are_no_candidates(lay, tiny_config, tmp_path):
    stages = lay(MMD(assistants=(0.75,)))
    assert list(stages)[2:] == ['assistant_0.75', 'student_0.75', 'select', 'export']
    assert (stages['select'].candidates, stages['export'].delivered) == (('student_0.75',), ('select',))
    with pytest.raises(ValueError, match=r'method.assistants names the scale 0.6, which is no candidate above the '
                                         r'student; expected some of \[0.5, 0.75\]'):
        mmamd.compress(tiny_config(**SHORT, **{'method.assistants': [0.6]}), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
    with pytest.raises(ValueError, match='method.assistants must be a list, each a finite number, or None, got 0.5'):
        mmamd.compress(tiny_config(**SHORT, **{'method.assistants': 0.5}), work_dir=tmp_path / 'run')
