"""A run that is killed again and again, and moved in between, ends where an uninterrupted one does, bit for bit."""

import json
import random
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from deaths import Death

PARTS = {'joint': ('preflight', 'teacher', 'score', 'nest', 'joint', 'joint', 'select', 'student', 'student', 'export',
                   'summary'),
         'refit': ('preflight', 'score', 'nest', 'refit', 'refit', 'select', 'refit_final', 'student', 'student',
                   'export', 'summary')}
CHAINS = [(method, ranks, seed) for method in PARTS for ranks in (1, 2) for seed in range(2)]
# With what else must survive: an averaged student, and a teacher whose answers are kept in files.
KEPT = {'model.architecture.train_cfg': None, 'student.average': dict(share=0.5),
        'student.teacher_cache': dict(views=1), 'student.losses': dict(feat=dict(weight=0.)),
        'train_dataloader.dataset.dataset.pipeline': [dict(type='PackInputs')]}


@pytest.fixture(scope='session')
def configs(tiny_config, refit_config, tmp_path_factory):
    """Method -> file of its config, whose every stage is killed."""
    folder = tmp_path_factory.mktemp('configs')
    for method, config in (('joint', tiny_config(**{'model.teacher': None})), ('refit', refit_config(**KEPT))):
        config.dump(folder / f'{method}.py')
    return {method: folder / f'{method}.py' for method in PARTS}


@pytest.fixture(scope='session')
def uninterrupted(start, outcome, configs, tmp_path_factory):
    """Function from a method and a number of ranks to what a whole run finds, and what there is to count in it."""
    found = {}

    def of(method, ranks):
        if (method, ranks) not in found:
            folder = tmp_path_factory.mktemp('uninterrupted')
            assert start(configs[method], folder / 'run', ranks=ranks, counts=folder / 'counts.json') == 0, \
                (folder / 'run.log').read_text()[-4000:]
            found[method, ranks] = outcome(folder / 'run'), json.loads((folder / 'counts.json').read_text())
        return found[method, ranks]

    return of


def drawn(method, ranks, seed, counts):
    """The deaths of a run, one after the other, each at a moment that the seed draws."""
    draw, deaths = random.Random(f'{method} {ranks} {seed}'), []
    for part in PARTS[method]:
        by = 'writes' if part == 'summary' else draw.choice(['calls', 'writes'])
        rank = draw.randrange(ranks) if by == 'calls' else 0  # the others write next to nothing
        deaths.append(Death(part, by, draw.randint(1, counts[part][by]), rank))
    return deaths


def live_through(start, config, folder, deaths, ranks=1):
    """Kill a run, move it, and continue it, as often as there are deaths.

    Returns its folder once it has finished, and which stages were not finished at each death.
    """
    interrupted = []
    for i, death in enumerate([*deaths, None]):
        work_dir = folder / str(i) / 'run'
        work_dir.parent.mkdir(exist_ok=True)
        code = start(config, work_dir, death, ranks)
        printed = Path(f'{work_dir}.log').read_text()
        assert code == (-signal.SIGKILL if death else 0), f'{deaths[:i + 1]}\n{printed[-4000:]}'
        if death:
            interrupted += unfinished(work_dir)
            shutil.move(work_dir.parent, folder / str(i + 1))
    return work_dir, interrupted


def unfinished(work_dir):
    stages = work_dir / 'stages.json'
    started = json.loads(stages.read_text())['stages'] if stages.exists() else {}
    return [name for name, entry in started.items() if not entry['finished']]


def differences(found, expected):
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


# The default tier: three kills in one run and two in another, at moments in the middle of its work.

def test_a_run_killed_in_three_stages_ends_as_an_uninterrupted_one(start, outcome, finished_run, tiny_config, tmp_path):
    tiny_config().dump(tmp_path / 'config.py')
    deaths = [Death('joint', 'calls', 500_000), Death('select', 'writes', 8), Death('student', 'writes', 16)]
    work_dir, interrupted = live_through(start, tmp_path / 'config.py', tmp_path, deaths)
    assert interrupted == [death.part for death in deaths]
    assert re.findall(r'(\w+) was interrupted; it continues', Path(f'{work_dir}.log').read_text()) == interrupted
    assert differences(outcome(work_dir), outcome(finished_run[0])) == []


@pytest.mark.slow
def test_a_run_killed_while_it_refits_and_exports_ends_as_an_uninterrupted_one(start, outcome, refit_run, refit_config,
                                                                               tmp_path):
    refit_config().dump(tmp_path / 'config.py')
    deaths = [Death('refit', 'calls', 60_000), Death('export', 'writes', 12)]
    work_dir, interrupted = live_through(start, tmp_path / 'config.py', tmp_path, deaths)
    assert interrupted == [death.part for death in deaths]
    assert re.findall(r'(\w+) was interrupted; it continues', Path(f'{work_dir}.log').read_text()) == interrupted
    assert differences(outcome(work_dir), outcome(refit_run[0])) == []


SEARCHES = {'a process': dict(type='mmamd.DistProSearch', epochs=2, record_every=3, loss=dict(layers=[1, 2])),
            'a distiller': dict(type='mmamd.KDZeroSearch', evolution=dict(evaluations=6, population=3), proxy_epochs=1,
                                proxy_images=64, num_held_out=64, random=False)}


@pytest.mark.slow
@pytest.mark.parametrize('kind', SEARCHES)
def test_a_search_killed_in_the_middle_ends_as_an_uninterrupted_one(kind, start, outcome, tiny_config, tmp_path):
    config = tmp_path / 'config.py'
    tiny_config(method=dict(type='mmamd.KD'), search=SEARCHES[kind]).dump(config)
    assert start(config, tmp_path / 'whole', counts=tmp_path / 'counts.json') == 0, (
        Path(f'{tmp_path}/whole.log').read_text()[-4000:])
    calls = json.loads((tmp_path / 'counts.json').read_text())['search']['calls']
    (tmp_path / '0').mkdir()
    deaths = [Death('search', 'calls', int(share * calls)) for share in (0.3, 0.4)]  # what is left is shorter each time
    work_dir, interrupted = live_through(start, config, tmp_path, deaths)
    assert interrupted == ['search', 'search']
    assert differences(outcome(work_dir), outcome(tmp_path / 'whole')) == []


def test_the_slow_tier_kills_in_every_stage_and_more_than_forty_times():
    kills = Counter((part, ranks) for method, ranks, _ in CHAINS for part in PARTS[method])
    assert kills.total() >= 40
    stages = {'teacher', 'score', 'nest', 'refit', 'joint', 'select', 'refit_final', 'student', 'export'}
    assert {(stage, ranks) for stage in stages for ranks in (1, 2)} <= kills.keys()


@pytest.mark.slow
@pytest.mark.parametrize('method, ranks, seed', CHAINS)
def test_a_run_killed_in_every_stage_ends_as_an_uninterrupted_one(method, ranks, seed, start, outcome, configs,
                                                                  uninterrupted, tmp_path):
    expected, counts = uninterrupted(method, ranks)
    deaths = drawn(method, ranks, seed, counts)
    work_dir, _ = live_through(start, configs[method], tmp_path, deaths, ranks)
    assert differences(outcome(work_dir), expected) == [], deaths
