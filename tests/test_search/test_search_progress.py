"""A run tells how far its search is, and how long it will still take."""

import pytest

from mmamd.pipeline.progress import Progress
from mmamd.search.kd_zero.evolution import Trial
from mmamd.search.kd_zero.search_progress import SearchProgress


def trials(num):
    return [Trial(place, 'newcomer', {}, str(place), 2. - place) for place in range(num)]


@pytest.fixture
def told():
    """Search of four evaluations, by two methods, on a clock of its own: the progress, its clock and snapshots."""
    clock, seen = [0.], []
    progress = Progress({'search': 800., 'student': 100.}, [lambda snapshot, note: seen.append(snapshot)],
                        clock=lambda: clock[0])
    progress.start('search')
    return SearchProgress('search', progress, 4, 2), clock, seen


def test_what_an_earlier_process_has_evaluated_takes_no_time(told):
    progress, clock, seen = told
    progress.begin()
    progress.trials(trials(3))
    clock[0] = 10.
    progress.trials(trials(4))
    # An eighth in ten seconds, and four eighths are left; the student is an eighth too.
    assert seen[-1].running.fraction == 0.5 and seen[-1].running.seconds_left == pytest.approx(40.)
    assert seen[-1].seconds_left == pytest.approx(50.)
    assert seen[-1].detail == '4 of 4 distillers, the best -1.000'


def test_a_student_that_is_half_trained_counts_half(told):
    progress, clock, seen = told
    progress.begin()
    progress.trials([])
    clock[0] = 5.
    progress.within(0.5)
    assert seen[-1].running.fraction == 1 / 16 and seen[-1].running.seconds_left == pytest.approx(75.)
    progress.begin()
    progress.trials(trials(1))
    clock[0] = 15.
    progress.within(0.)
    assert seen[-1].running.fraction == 0.5 + 1 / 8
