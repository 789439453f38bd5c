import importlib
import math
import multiprocessing
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import OperationalError
from toys import SMALL, SPACE, planted, told, trajectory

from mmamd.distillation.genome import Genome
from mmamd.search.kd_zero.evolution import is_evaluated, replay
from mmamd.search.kd_zero.rejection import Rejected
from mmamd.search.kd_zero.space import Space
from mmamd.search.kd_zero.store import open_storage
from mmamd.search.kd_zero.study import search

PAGE = Path(__file__).parents[2] / 'docs' / 'search.md'
TINY = replace(SMALL, evaluations=12, population=4)


@pytest.fixture(autouse=True)
def quick_writing(monkeypatch):
    """Processes die here, and no machines, so that nothing need be on the disk."""
    monkeypatch.setattr(os, 'fsync', lambda _: None)
    monkeypatch.setattr('mmamd.search.kd_zero.study.WAIT', 0.01)


def large_weights(genome):
    return 'loss too large' if genome.weight > 1 else None


def uninterrupted():
    return told(trajectory(planted(), TINY, reason_against=large_weights))


class Deadly:
    """The planted fitness, which ends otherwise at one evaluation."""

    def __init__(self, at, end):
        self.at, self.end, self.num = at, end, 0

    def __call__(self, genome):
        self.num += 1
        if self.num == self.at:
            self.end()
        return planted()(genome)


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt():
    raise KeyboardInterrupt


def test_a_search_tries_what_is_proposed_and_evaluates_nothing_that_is_rejected():
    evaluated, seen = [], []

    def evaluate(genome):
        evaluated.append(genome)
        return {**planted()(genome), 'cka': 0.5}

    trials = search(evaluate, SPACE, TINY, reason_against=large_weights,
                    watch=lambda each: seen.append(len(each)))
    assert told(trials) == uninterrupted() and any(trial.reason for trial in trials)
    assert len(evaluated) == 12 and not any(map(large_weights, evaluated))
    assert {trial.parts.get('cka') for trial in trials if is_evaluated(trial)} == {0.5}
    assert seen == list(range(len(trials) + 1))


def test_a_killed_search_goes_on_as_if_nothing_had_been(tmp_path):
    store = tmp_path / 'search.journal'
    process = multiprocessing.get_context('fork').Process(
        target=search, args=(Deadly(7, kill_oneself), SPACE, TINY, store), kwargs=dict(reason_against=large_weights))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with open(store, 'ab') as file:
        file.write(b'{"op_code": 5, "wor')  # as if it had been killed in the midst of a line
    rest = Deadly(99, interrupt)
    found = search(rest, SPACE, TINY, store, reason_against=large_weights)
    assert told(found) == uninterrupted() and rest.num == 12 - 6


def test_an_interrupted_search_goes_on_in_the_same_process_and_one_that_has_ended_can_be_given_more(tmp_path):
    store = tmp_path / 'search.journal'
    with pytest.raises(KeyboardInterrupt):
        search(Deadly(5, interrupt), SPACE, replace(TINY, evaluations=8), store, reason_against=large_weights)
    first = search(planted(), SPACE, replace(TINY, evaluations=8), store, reason_against=large_weights)
    assert told(first) == uninterrupted()[:len(first)] and sum(map(is_evaluated, first)) == 8
    assert told(search(planted(), SPACE, TINY, store, reason_against=large_weights)) == uninterrupted()


def test_an_error_of_the_evaluation_is_raised_and_its_genome_is_tried_again():
    def fail():
        raise ZeroDivisionError('of the evaluation')

    evaluate = Deadly(3, fail)
    with pytest.raises(ZeroDivisionError, match='of the evaluation'):
        search(evaluate, SPACE, TINY)


def test_workers_share_one_population(tmp_path):
    store = tmp_path / 'search.journal'
    processes = [multiprocessing.get_context('fork').Process(target=search, args=(planted(), SPACE, TINY, store))
                 for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    trials = search(planted(), SPACE, TINY, store)
    assert sum(map(is_evaluated, trials)) == 12
    assert len(replay(trials, SPACE, TINY).population) == 4
    assert [trial.position for trial in trials] == list(range(len(trials)))


@pytest.mark.parametrize('store', [
    'journal', pytest.param('database', marks=pytest.mark.slow), pytest.param('elsewhere', marks=pytest.mark.slow)])
def test_what_a_worker_tried_that_dies_is_failed_and_the_other_one_goes_on_to_the_end(tmp_path, monkeypatch, store):
    """It dies in the last trial, while the other one has nothing left to begin."""
    monkeypatch.setattr('mmamd.search.kd_zero.store.HEARTBEAT', 1)
    url = tmp_path / 'search.journal' if store == 'journal' else f'sqlite:///{tmp_path}/search.db'
    four, fork = replace(TINY, evaluations=4), multiprocessing.get_context('fork')
    begun, other_waits, ends = fork.Event(), fork.Event(), fork.SimpleQueue()

    def die():
        begun.set()
        other_waits.wait()
        kill_oneself()

    def victim():
        if store == 'elsewhere':  # where only its heartbeat tells that it is gone
            monkeypatch.setattr('socket.gethostname', lambda: 'elsewhere')
        search(Deadly(2, die), SPACE, four, url)

    def watch(trials):
        if sum(map(is_evaluated, trials)) == 3:
            other_waits.set()

    def survivor():
        ends.put(search(Deadly(2, begun.wait), SPACE, four, url, watch=watch))

    workers = [fork.Process(target=target) for target in (victim, survivor)]
    for worker in workers:
        worker.start()
    workers[0].join()
    begun.set()  # so that the other one ends where this one has failed before
    workers[1].join()
    assert [worker.exitcode for worker in workers] == [-signal.SIGKILL, 0]
    trials = ends.get()
    assert sum(map(is_evaluated, trials)) == 4
    assert [trial.position for trial in trials] == list(range(len(trials)))
    kept = optuna.load_study(study_name='kd_zero_evolution', storage=open_storage(url)).trials
    failed, = (trial for trial in kept if trial.state.name == 'FAIL')
    assert failed.user_attrs['worker'][1] == workers[0].pid and len(kept) == len(trials) + 1
    assert {trial.state.name for trial in kept} <= {'COMPLETE', 'PRUNED', 'FAIL'}


def test_a_database_is_a_store_too(tmp_path):
    url = f'sqlite:///{tmp_path}/search.db'
    tiny = replace(TINY, evaluations=3)
    with pytest.raises(KeyboardInterrupt):
        search(Deadly(3, interrupt), SPACE, tiny, url)
    assert told(search(planted(), SPACE, tiny, url)) == told(trajectory(planted(), tiny))


def test_a_database_whose_tables_another_worker_makes_at_the_moment_is_opened_then(monkeypatch):
    outcomes = iter([OperationalError('CREATE TABLE trials', {}, Exception('table trials already exists'))] * 2)

    def open_one(url, **options):
        for error in outcomes:
            raise error
        return url

    monkeypatch.setattr('mmamd.search.kd_zero.store.WAIT', 0.)
    monkeypatch.setattr('mmamd.search.kd_zero.store.RDBStorage', open_one)
    assert open_storage('sqlite:///a.db') == 'sqlite:///a.db'
    outcomes = iter([OperationalError('SELECT', {}, Exception('no such host'))] * 9)
    with pytest.raises(OperationalError, match='no such host'):
        open_storage('sqlite:///a.db')


def test_what_is_known_is_not_evaluated_again_and_a_space_may_be_exhausted(monkeypatch):
    monkeypatch.setattr('mmamd.search.kd_zero.study.MOST_IDLE', 20)
    space = Space(inputs=('logits',), transforms=('no', 'softmax_HW'), distances=('l1',), calibrations=('no',),
                  weights=(1., 100.), taus=(1.,))
    evaluate = Deadly(99, interrupt)
    with pytest.raises(RuntimeError, match='last 20 distillers were all rejected, or known: of 12 evaluations 1 are'):
        search(evaluate, space, TINY, reason_against=large_weights)
    assert evaluate.num == 1


def test_collapses_and_what_is_no_number_are_rejected_with_their_reason():
    ends = iter([math.nan, math.inf])

    def evaluate(genome):
        if genome.tau > 4:
            raise Rejected('accuracy at chance')
        return {'fitness': next(ends, 1.)}

    trials = search(evaluate, SPACE, TINY)
    assert {trial.reason for trial in trials} == {None, 'accuracy at chance', 'fitness not finite'}
    assert sum(trial.reason == 'fitness not finite' for trial in trials) == 2


def test_trials_are_optunas_with_eight_parameters_and_rejections_are_pruned_ones(tmp_path):
    store = tmp_path / 'search.journal'
    search(planted(), SPACE, TINY, store, reason_against=large_weights)
    study = optuna.load_study(study_name='kd_zero_evolution', storage=optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(store))))
    assert {len(trial.params) for trial in study.trials} == {8}
    pruned = [trial for trial in study.trials if trial.state.name == 'PRUNED']
    assert pruned and {trial.user_attrs['reason'] for trial in pruned} == {'loss too large'}
    assert study.best_trial.user_attrs['genome'].startswith('in:[')


def test_a_search_by_chance_has_a_study_of_its_own_in_the_same_store(tmp_path):
    store, tiny = tmp_path / 'search.journal', replace(TINY, evaluations=5)
    for _ in range(2):
        for method in ('evolution', 'random'):
            by = replace(tiny, method=method)
            assert told(search(planted(), SPACE, by, store)) == told(trajectory(planted(), by))


@pytest.mark.parametrize('changed, message', [
    (dict(settings=replace(TINY, seed=3)), "other settings: seed was 0 and is 3 now; set it back to go on, or give"),
    (dict(space=Space(taus=(1., 4.))), r'tau was \[1.0, 4.0, 8.0\] and is \[1.0, 4.0\] now'),
    (dict(about={'teacher': 'b.pth'}), "about.teacher was 'a.pth' and is 'b.pth' now")])
def test_a_search_of_other_settings_is_refused(tmp_path, changed, message):
    call = dict(evaluate=planted(), space=SPACE, settings=TINY, store=tmp_path / 'search.journal',
                about={'teacher': 'a.pth'})
    search(**{**call, 'settings': replace(TINY, evaluations=1)})
    before = call['store'].read_bytes()
    with pytest.raises(ValueError, match=message):
        search(**{**call, **changed})
    assert call['store'].read_bytes() == before


@pytest.mark.parametrize('content', [b'no journal\n', b'[1]\n', b'half a line'])
def test_a_file_that_is_no_journal_is_refused_and_left(tmp_path, content):
    store = tmp_path / 'search.journal'
    store.write_bytes(content)
    with pytest.raises(ValueError, match='search.journal is no journal of a search, or is damaged; give another store'):
        search(planted(), SPACE, TINY, store)
    assert store.read_bytes() == content and os.listdir(tmp_path) == ['search.journal']


def test_without_optuna_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'optuna', None)
    monkeypatch.delitem(sys.modules, 'mmamd.search.kd_zero.study')
    with pytest.raises(ImportError, match=r"Optuna, which is not installed: pip install 'mmamd\[search\]'"):
        importlib.import_module('mmamd.search.kd_zero.study')


def test_the_search_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text, = re.findall('a test runs this -->\n```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
    exec(text.replace('=40', '=4').replace('gaussian_knowledge()', 'gaussian_knowledge(num=4)'), {})
    assert Genome.parse(capsys.readouterr().out.strip())
