"""What is said of many calls is worked out by hand; how long they really take is nobody's to assert."""

from dataclasses import asdict

import pytest

from mmamd.export import latency, time_function


@pytest.fixture
def clock(monkeypatch):
    """A clock that a call moves on by the next of some milliseconds, and nothing else moves."""
    class Clock:
        now, calls = 0., 0

        def of(self, *milliseconds):
            def call():
                self.now += milliseconds[self.calls] / 1000
                self.calls += 1
            return call

    found = Clock()
    monkeypatch.setattr(latency.time, 'perf_counter', lambda: found.now)
    return found


def test_the_first_calls_do_not_count_and_of_the_others_there_are_median_and_quartiles(clock):
    # Three to warm up; of 1, 2, 3, 4, 9 ms the quartiles are the second, the third and the fourth.
    timing = time_function(clock.of(1000, 1000, 1000, 9, 1, 3, 2, 4), 64, seconds=0.)
    assert asdict(timing) == pytest.approx(dict(batch=64, median=3., low=2., high=4., calls=5))


def test_calls_go_on_for_as_long_as_was_asked_for_and_end(clock):
    # 0.01 s to warm up, in 10 calls of 1 ms, and 0.1 s that count, in calls of 5 ms, of which the 20th ends it.
    timing = time_function(clock.of(*[1] * 10, *[5] * 25), 1, seconds=0.1)
    assert 20 <= timing.calls <= 21 and timing.median == pytest.approx(5.)
    assert time_function(lambda: None, 1, seconds=1.).calls == latency.MOST
