"""Remaining time is arithmetic on a plan; lines and the table say the same of it."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from mmamd.pipeline.progress import Progress, duration
from mmamd.pipeline.progress_display import ProgressLines, ProgressTable, make_display, progress_line, progress_table

DRAWN = Path(__file__).parent / 'progress_drawn.py'
# joint is ten times the work of score; nest is none.
PLAN = {'score': 100., 'nest': 0., 'joint': 1000., 'student': 500.}


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def progress(clock, heard):
    return Progress(PLAN, [lambda snapshot, note: heard.append((snapshot, note))], clock)


def left(snapshot):
    return [stage.seconds_left for stage in snapshot.stages]


# --- arithmetic ---

def test_nothing_is_said_about_the_time_left_before_anything_was_done(progress):
    progress.start('score')
    snapshot = progress.snapshot()
    assert left(snapshot) == [None, 0, None, None]  # nest has no work, so it takes no time
    assert snapshot.seconds_left is None
    assert 'left: stage ?, run about ?' in progress_line(snapshot)


def test_stages_to_come_are_estimated_at_the_rate_of_those_before(progress, clock):
    progress.start('score')
    clock.now += 10
    progress.finish('score')
    # 100 MACs in 10 s: 0.1 s each.
    assert left(progress.snapshot()) == [0, 0, 100, 50]
    assert progress.snapshot().seconds_left == 150
    assert progress.snapshot().fraction == pytest.approx(100 / 1600)


def test_a_stage_that_has_a_rate_of_its_own_is_estimated_by_it(progress, clock):
    progress.start('score')
    clock.now += 10
    progress.finish('score')
    progress.start('joint')
    clock.now += 50
    progress.update('joint', 0.1)
    # joint: 100 MACs in 50 s, 900 left. student: 200 MACs in 60 s overall, 500 left.
    assert left(progress.snapshot()) == pytest.approx([0, 0, 450, 150])


def test_work_of_an_earlier_process_counts_as_done_but_tells_no_rate(progress, clock):
    progress.start('joint', seconds_before=300., continued=True)
    clock.now += 5  # building the network
    progress.resume('joint', 0.5)
    assert left(progress.snapshot())[2] is None
    clock.now += 20
    progress.update('joint', 0.6)
    # 100 MACs in 20 s, 400 left; the 5 s of building are no arithmetic, though they were spent.
    joint = progress.snapshot().stages[2]
    assert joint.seconds_left == pytest.approx(80)
    assert joint.seconds == 325


def test_a_skipped_stage_keeps_the_time_that_it_took(progress, heard):
    progress.skip('score', 17.5)
    score = heard[-1][0].stages[0]
    assert (score.state, score.fraction, score.seconds, score.seconds_left) == ('finished', 1, 17.5, 0)


def test_a_stage_runs_from_its_start_to_its_finish(progress):
    assert progress.snapshot().running is None
    progress.start('score')
    assert progress.snapshot().running.name == 'score'
    progress.finish('score')
    assert [stage.state for stage in progress.snapshot().stages] == ['finished', 'waiting', 'waiting', 'waiting']


def test_beginnings_and_ends_are_told_with_a_note(progress, clock, heard):
    progress.skip('score')
    progress.start('nest')
    progress.finish('nest')
    progress.start('joint', seconds_before=60., continued=True)
    clock.now += 5
    progress.finish('joint')
    assert [note for _, note in heard] == [
        'score: finished before, skipped', '[2/4] nest', '    nest took 0:00:00',
        '[3/4] joint was interrupted; it continues', '    joint took 0:01:05']


def test_updates_are_told_at_most_once_a_second(progress, clock, heard):
    progress.start('joint')
    for i in range(100):
        clock.now += 0.1
        progress.update('joint', i / 100, f'step {i}')
    assert 9 <= len(heard) - 1 <= 11
    assert heard[-1][0].detail.startswith('step 9')


def test_where_nobody_listens_no_update_is_due(clock):
    progress = Progress(PLAN, [], clock)
    progress.start('joint')
    clock.now += 100
    assert not progress.is_due()


def test_durations_are_hours_minutes_and_seconds():
    assert [duration(seconds) for seconds in (None, 0., 59.6, 7322.)] == ['?', '0:00:00', '0:01:00', '2:02:02']


# --- lines and table ---

def test_lines_are_every_ten_seconds_and_at_the_ends_of_stages(clock):
    stream = io.StringIO()
    progress = Progress(PLAN, [ProgressLines(stream, clock)], clock)
    progress.start('joint')
    for i in range(25):
        clock.now += 1
        progress.update('joint', (i + 1) / 100, f'epoch 1/4  loss {i}')
    progress.finish('joint')
    # 1 % a second: 90 % left after 10 s. student has half the work of joint, score a tenth of it.
    assert stream.getvalue().splitlines() == [
        '[3/4] joint',
        '    joint  10%  epoch 1/4  loss 9   left: stage 0:01:30, run about 0:02:30',
        '    joint  20%  epoch 1/4  loss 19   left: stage 0:01:20, run about 0:02:20',
        '    joint took 0:00:25']


def test_the_table_has_a_line_for_each_stage_and_one_for_the_run(progress, clock):
    progress.skip('score', 61.)
    progress.skip('nest')
    progress.start('joint')
    clock.now += 10
    progress.update('joint', 0.25, 'epoch 1/4  loss 2.5')
    console = Console(file=io.StringIO(), width=100)
    console.print(progress_table(progress.snapshot()))
    cells = [line.translate(dict.fromkeys(map(ord, '━╸╺'))).split() for line in console.file.getvalue().splitlines()]
    assert cells == [
        ['done', 'spent', 'left'],
        ['score', '100%', '0:01:01'],
        ['nest', '100%', '0:00:00'],
        ['joint', '25%', '0:00:10', '0:00:30', 'epoch', '1/4', 'loss', '2.5'],
        ['student', '0%', '0:00:20'],
        ['run', '22%', '0:01:11', '0:00:50']]


def test_on_a_narrow_terminal_figures_stay_whole_and_bars_and_losses_give_way(progress, clock):
    progress.start('joint')
    clock.now += 10
    progress.update('joint', 0.25, 'epoch 1/4  loss 2.5  ' + 'and so on ' * 9)
    console = Console(file=io.StringIO(), width=50)
    console.print(progress_table(progress.snapshot()))
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 6 and all(len(line) <= 50 for line in lines)
    joint = next(line for line in lines if line.startswith('joint ')).translate(dict.fromkeys(map(ord, '━╸╺'))).split()
    assert joint[:4] == ['joint', '25%', '0:00:10', '0:00:30'] and joint[4] == 'epoch' and joint[-1].endswith('…')


class Terminal(io.StringIO):

    def isatty(self):
        return True


@pytest.mark.parametrize('stream, environ, kind', [
    (Terminal(), {'TERM': 'xterm'}, ProgressTable),
    (Terminal(), {'TERM': 'xterm', 'NO_COLOR': ''}, ProgressTable),
    (Terminal(), {'TERM': 'xterm', 'NO_COLOR': '1'}, ProgressLines),
    (Terminal(), {'TERM': 'xterm', 'SLURM_JOB_ID': '7'}, ProgressLines),
    (Terminal(), {'TERM': 'dumb'}, ProgressLines),
    (Terminal(), {}, ProgressLines),
    (io.StringIO(), {'TERM': 'xterm'}, ProgressLines)])
def test_the_table_is_for_terminals_that_can_draw_it(stream, environ, kind):
    assert type(make_display(stream, environ)) is kind


# --- in a process of its own, on a real terminal and through a pipe ---

def test_what_others_print_stands_above_the_table_and_ungarbled(on_terminal):
    code, screen = on_terminal([sys.executable, DRAWN])
    assert code == 0, screen
    text = [line for line in screen if line]
    said = [i for i, line in enumerate(text) if any(word in line for word in ('printed', 'warned', 'a worker'))]
    table = [i for i, line in enumerate(text) if line.split()[0] in ('score', 'joint', 'export', 'run')]
    assert [text[i] for i in said if 'warned' not in text[i]] == [
        'printed before', 'printed meanwhile', 'a worker said this', 'printed after']
    warned = [text[i] for i in said if 'warned' in text[i]]
    assert len(warned) == 2 and all('WARNING' in line for line in warned), screen
    # One table, below what was said while it lived and above what came after it.
    assert len(table) == 4 and table == list(range(table[0], table[0] + 4)), screen
    assert said[-2] < table[0] and table[-1] < said[-1]
    assert all('100%' in text[i] for i in table)


def test_through_a_pipe_the_same_run_is_plain_lines():
    done = subprocess.run([sys.executable, DRAWN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '\x1b' not in done.stdout
    assert [line for line in done.stdout.splitlines() if 'warned' not in line] == [
        'printed before', '[1/3] score', '    score took 0:00:00', '[2/3] joint', 'printed meanwhile',
        'a worker said this', '    joint took 0:00:00', '[3/3] export', '    export took 0:00:00', 'printed after']


def test_a_run_that_fails_leaves_its_error_below_the_table(on_terminal):
    code, screen = on_terminal([sys.executable, DRAWN, 'fail'])
    assert code == 1
    text = [line for line in screen if line]
    ends = [i for i, line in enumerate(text) if line.startswith(('run ', 'Traceback', 'ValueError: this run fails'))]
    assert len(ends) == 3 and ends[1] == ends[0] + 1 and ends[2] == len(text) - 1, screen
