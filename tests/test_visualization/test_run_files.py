import json

import pytest
from picture_toys import log_rows, make_family, make_importance, make_selection, write_log

from mmamd.structures import Cost
from mmamd.visualization.loss_plot import read_losses
from mmamd.visualization.run_files import read_log, read_run


def test_a_finished_run_is_read_whole(work_dir):
    run = read_run(work_dir)
    assert (run.seed, list(run.stages)) == (7, ['score', 'nest', 'joint', 'select', 'student', 'export'])
    assert (run.importance, run.family) == (make_importance(), make_family())
    assert run.selections == {'select': make_selection()} and run.assistants == (0.75,)
    assert run.losses == {'joint': read_losses(log_rows([10, 20, 30])),
                          'student': read_losses(log_rows([10, 20], ['0.25']))}
    assert run.config.data_root == 'some/data' and 'some/data' in run.config_text
    assert run.summary['metric'] == 'accuracy/top1' and run.examples.classes == ['cat', 'dog']
    assert run.planned_macs['joint'] == 70e9
    assert run.student_cost == Cost(250, 40)


def test_a_run_that_has_just_begun_has_nothing_more_than_its_state(tmp_path):
    (tmp_path / 'stages.json').write_text('{"seed": 1, "stages": {}}')
    run = read_run(tmp_path)
    assert (run.importance, run.family, run.config, run.examples, run.summary) == (None,) * 5
    assert run.selections == run.losses == run.planned_macs == {}


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
    state['stages'] |= {'joint_2': done, 'select_2': done}
    (work_dir / 'stages.json').write_text(json.dumps(state))
    make_selection().save(work_dir / 'select_2' / 'selection.json')
    write_log(work_dir / 'joint_2' / '20260101_000000', log_rows([10]))
    run = read_run(work_dir)
    assert list(run.selections) == ['select', 'select_2']
    assert list(run.losses) == ['joint', 'student', 'joint_2']


def test_a_student_of_another_architecture_is_no_candidate_and_costs_what_the_summary_says(work_dir, unfinish):
    with (work_dir / 'run_config.py').open('a') as config:
        config.write("model['student_architecture'] = dict(type='ImageClassifier')\n")
    run = read_run(work_dir)
    assert not run.is_student_a_candidate and run.student_cost == Cost(250, 40)
    unfinish(work_dir, 'export')
    assert read_run(work_dir).student_cost is None


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
