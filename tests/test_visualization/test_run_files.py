import json

import pytest
from picture_toys import (
    log_rows,
    make_family,
    make_importance,
    make_refitted,
    make_selection,
    make_student_selection,
    write_log,
)

from mmamd.files.training_log import read_log, read_losses
from mmamd.selection.bootstrap import standard_error
from mmamd.selection.table import Row
from mmamd.structures import Cost
from mmamd.visualization.run_files import read_run


def test_a_finished_run_is_read_whole(work_dir):
    run = read_run(work_dir)
    assert (run.seed, list(run.stages)) == (7, ['score', 'nest', 'joint', 'select', 'student', 'export'])
    assert (run.importance, run.family) == (make_importance(), make_family())
    assert (run.method, run.delivered) == ('AMD', ['student'])
    assert run.selections == run.assistants == {'select': make_selection()}
    assert {key: network.cost for key, network in run.judged['select'].items()} == {
        '0.25': Cost(250, 40), '0.50': Cost(500, 60), '0.75': Cost(750, 80)}
    assert run.losses == {'joint': read_losses(log_rows([10, 20, 30])),
                          'student': read_losses(log_rows([10, 20, 30], ['0.25']))}
    assert run.config.data_root == 'some/data' and 'some/data' in run.config_text
    assert run.summary['metric'] == 'accuracy/top1' and run.examples.classes == ['cat', 'dog']
    assert run.planned_macs['joint'] == 70e9
    assert [student.cost for student in run.students] == [Cost(250, 40)]
    assert run.refits == {} and run.are_slices('select')


def test_what_refits_have_made_good_is_read_by_stage(run_by):
    run = read_run(run_by('AMD from refit'))
    assert run.refits == {'refit': make_refitted(), 'refit_final': make_refitted((0.25,), assistant=0.5)}
    assert not run.are_slices('select')


def test_a_run_that_has_just_begun_has_nothing_more_than_its_state(tmp_path):
    (tmp_path / 'stages.json').write_text('{"format": 2, "seed": 1, "stages": {}}')
    run = read_run(tmp_path)
    assert (run.importance, run.family, run.config, run.examples, run.summary) == (None,) * 5
    assert run.selections == run.judged == run.losses == run.planned_macs == {}


def test_a_folder_without_a_run_is_said_to_hold_none(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no stages.json, so it is no work_dir of a run; give the'):
        read_run(tmp_path)


def test_the_summary_of_an_earlier_outcome_is_not_taken_for_this_ones(work_dir, unfinish):
    unfinish(work_dir, 'select', 'student', 'export')
    run = read_run(work_dir)
    assert run.summary is None
    assert run.selections == {} and list(run.losses) == ['joint']  # their files are still there


def test_second_rounds_are_read_in_their_order(work_dir):
    state = json.loads((work_dir / 'stages.json').read_text())
    done = {'finished': True, 'seconds': 1.}
    state['stages'] |= {'joint_2': {'kind': 'distil', **done}, 'select_2': {'kind': 'select', **done}}
    (work_dir / 'stages.json').write_text(json.dumps(state))
    make_selection().save(work_dir / 'select_2' / 'selection.json')
    write_log(work_dir / 'joint_2' / '20260101_000000', log_rows([10]))
    run = read_run(work_dir)
    assert list(run.selections) == list(run.assistants) == ['select', 'select_2']
    assert list(run.losses) == ['joint', 'student', 'joint_2']


def test_a_student_of_another_architecture_is_no_candidate_and_costs_what_the_summary_says(work_dir, unfinish,
                                                                                           configure):
    configure(work_dir, **{'compression.student_architecture': dict(type='ImageClassifier')})
    run = read_run(work_dir)
    assert not run.is_student_a_candidate and [student.cost for student in run.students] == [Cost(250, 40)]
    unfinish(work_dir, 'export')
    assert read_run(work_dir).students == []


# --- other methods ---

def test_what_is_delivered_is_chosen_among_students_and_not_as_an_assistant(run_by):
    run = read_run(run_by('MMD'))
    assert (run.method, run.delivered, run.assistants) == ('MMD', ['select'], {})
    assert run.selections == {'select': make_student_selection()}
    assert list(run.judged['select']) == ['student_0.50', 'student_0.75']


def test_a_run_without_a_choice_has_no_selections(run_by):
    run = read_run(run_by('KD'))
    assert (run.method, run.selections, run.assistants, run.judged) == ('KD', {}, {}, {})


def test_stages_are_found_by_their_kind_in_the_order_of_the_run(run_by):
    run = read_run(run_by('MMD'))
    assert run.of_kind('distil') == ['assistant_0.50', 'student_0.50', 'assistant_0.75', 'student_0.75']
    assert run.of_kind('select', 'nest') == ['nest', 'select'] and run.of_kind('teacher') == []


def test_a_joint_training_is_known_by_its_log(work_dir, run_by):
    run = read_run(work_dir)
    assert (run.is_joint('joint'), run.is_joint('student')) == (True, False)
    assert not any(map(read_run(run_by('MMD')).is_joint, ['assistant_0.50', 'student_0.75']))


# --- the table of a selection ---

def test_the_table_has_a_row_a_candidate_and_none_where_a_number_is_unknown(work_dir, unfinish):
    selection = make_selection()
    rows = read_run(work_dir).rows('select')
    assert rows[2] == Row('0.75', 0.75, 750, 80, 0.76, standard_error(selection.measurements[2].resampled),
                          {rule: pytest.approx(scores[2]) for rule, scores in selection.scores.items()},
                          pytest.approx(0.66), True, True)
    assert rows[2].scores['npsd'] == pytest.approx(-0.16)  # -(0.80 - 0.76) / 0.25
    assert (rows[0].scores, rows[0].is_eligible) == ({}, False)  # the student
    unfinish(work_dir, 'export')
    assert all(row.test_value is None for row in read_run(work_dir).rows('select'))


def test_networks_of_one_scale_have_a_row_each(run_by):
    rows = read_run(run_by('MMD')).rows('select')
    assert [(row.name, row.macs, row.value, row.test_value, row.is_chosen) for row in rows] == [
        ('student_0.50', 250, 0.70, pytest.approx(0.60), False), ('student_0.75', 250, 0.73, pytest.approx(0.63), True)]


def test_a_choice_whose_networks_are_not_noted_yet_has_no_costs(work_dir):
    (work_dir / 'select' / 'judged.json').unlink()  # it is written after the test images have been judged
    assert [row.macs for row in read_run(work_dir).rows('select')] == [None] * 3


# --- the log ---

def test_a_resumed_stage_is_one_curve(tmp_path):
    # Killed after step 70; it goes on from the epoch that ended at step 40.
    write_log(tmp_path / '20260101_000000', log_rows([10, 20, 30, 40, 50, 60, 70]))
    later = [{**row, 'loss': 1.} for row in log_rows([50, 60])]
    write_log(tmp_path / '20260102_000000', later)
    rows = read_log(tmp_path)
    assert [row['step'] for row in rows] == [10, 20, 30, 40, 50, 60]
    assert rows[4:] == later


def test_a_start_that_logged_nothing_changes_nothing(tmp_path):
    write_log(tmp_path / '20260101_000000', log_rows([10, 20]))
    write_log(tmp_path / '20260102_000000', [])
    assert [row['step'] for row in read_log(tmp_path)] == [10, 20]


def test_rows_of_a_validation_are_no_losses(tmp_path):
    write_log(tmp_path / '20260101_000000', [*log_rows([10]), {'accuracy/top1': 50., 'step': 1}, *log_rows([20])])
    assert [row['step'] for row in read_log(tmp_path)] == [10, 20]


def test_a_line_that_is_being_written_is_left_for_the_next_time(tmp_path):
    write_log(tmp_path / '20260101_000000', log_rows([10, 20]))
    path = tmp_path / '20260101_000000' / 'vis_data' / 'scalars.json'
    path.write_text(path.read_text()[:-7])
    assert [row['step'] for row in read_log(tmp_path)] == [10]
