"""What of searches is drawn from the files of a run."""

import json
from html import escape

import pytest
from searched_toys import DIST, KD, PATHWAYS, SEARCHED, SP, TRIALS, write_process, write_search

from mmamd.files.json_file import write_json
from mmamd.visualization import make_pictures, read_run, report
from mmamd.visualization.search_pictures import OF_SEARCHES
from mmamd.visualization.searched import Retrained, Tried

OF_KD_ZERO = ['search', 'rejections', 'probabilities', 'operations', 'proxies']
OF_DISTPRO = ['process', 'shares', 'thresholds']


@pytest.fixture
def searching(run_by):
    """Function that makes a run whose stage ``search``, of a kind, has just begun, or is finished."""
    def make(kind, finished=False):
        folder = run_by('KD')
        state = json.loads((folder / 'stages.json').read_text())
        entry = {'kind': kind, 'finished': finished, 'seconds': 1., 'macs': 0., 'planned_macs': 1e9, 'fingerprint': {}}
        state['stages'] = {'search': entry, **state['stages']}
        write_json(folder / 'stages.json', state)
        return folder

    return make


def drawn(folder, **retrained):
    found, missing = make_pictures(read_run(folder, **retrained))
    return ({picture.kind: picture for picture in found if picture.kind in OF_SEARCHES},
            {kind: reason for kind, reason in missing.items() if kind in OF_SEARCHES})


def retrained_by(run_by, configure, genome, value):
    """A finished run whose student was trained by a distiller."""
    folder = run_by('KD')
    configure(folder, **{'model.losses': dict(mine=dict(type='mmamd.GenomeLoss', genome=genome))})
    summary = json.loads((folder / 'summary.json').read_text())
    summary['student']['value'] = value
    write_json(folder / 'summary.json', summary)
    return folder.rename(folder.with_name(f'by {value}'))


def test_a_run_that_has_not_searched_has_none_of_them_and_needs_none(finished_run):
    assert drawn(finished_run) == ({}, {})


def test_a_search_is_drawn_as_far_as_it_is(searching):
    folder = searching('kd_zero')
    assert drawn(folder) == ({}, dict.fromkeys(OF_KD_ZERO, 'no distiller has been evaluated yet'))
    write_search(folder, {'evolution': TRIALS['evolution'][:1]}, began_at=(0,))
    found, missing = drawn(folder)
    assert list(found) == ['search', 'operations'] and set(missing) == {'rejections', 'probabilities', 'proxies'}
    assert 'search.evolution.shrinkage.interval' in missing['probabilities']
    write_search(folder)
    assert read_run(folder).searches == {'search': SEARCHED}
    found, missing = drawn(folder)
    assert list(found) == OF_KD_ZERO[:-1] and '--retrained RUN' in missing['proxies']
    assert 'The best of 3 by evolution has 1; the best of 2 by chance has 2. ' in found['search'].caption
    assert found['search'].caption.endswith(f'What is found so far is {DIST}.')
    for picture in found.values():
        assert picture.title.endswith(': search') and picture.draw().axes


def test_trainings_to_the_end_are_held_against_the_fitness(searching, run_by, configure):
    others = [retrained_by(run_by, configure, *each) for each in ((SP, 0.6), (KD, 0.5), (KD, 0.56))]
    folder = searching('kd_zero', finished=True)
    write_search(folder)
    write_json(folder / 'search' / 'losses.json', {'found': dict(type='mmamd.GenomeLoss', genome=DIST)})
    run = read_run(folder, others)
    # Its own student has 0.63.
    assert run.retrained == {'search': {DIST: Retrained(1., [0.63]), SP: Retrained(2., [0.6]),
                                        KD: Retrained(4., [0.5, 0.56])}}
    figure = drawn(folder, retrained=others)[0]['proxies'].draw()
    assert figure.axes[0].get_title() == 'Rank correlation -1.00, of 3 distillers'
    assert figure.axes[0].get_ylabel() == 'accuracy/top1 on the test images (%)'


def test_runs_that_say_nothing_of_a_search_are_refused(searching, run_by, configure):
    other = retrained_by(run_by, configure, KD.replace('KL', 'l1'), 0.5)
    folder = searching('kd_zero')
    write_search(folder)
    with pytest.raises(ValueError, match='has trained by none of the distillers that the search has evaluated, but by'):
        read_run(folder, [other])
    (other / 'summary.json').unlink()
    with pytest.raises(FileNotFoundError, match='holds no summary.json: a run whose student is compared must be'):
        read_run(folder, [other])


def test_it_is_a_warning_that_chance_has_done_better(searching, monkeypatch):
    monkeypatch.setattr(report, 'make_pictures', lambda run: ([], {}))  # they take longest
    folder = searching('kd_zero')
    write_search(folder)
    assert 'have a better one' not in report.report_html(read_run(folder))
    write_search(folder, {'evolution': TRIALS['evolution'], 'random': [Tried(SP, 0.5), Tried(KD, 4.)]})
    warning, = read_run(folder).searches['search'].warnings
    assert warning == ('2 distillers by chance have a better one than 3 by evolution, of fitness 0.5 instead of 1: '
                       f'{SP}')
    assert f'search: {escape(warning)}' in report.report_html(read_run(folder))
    write_search(folder, {'evolution': [], 'random': [Tried(SP, 0.5)]})
    assert read_run(folder).searches['search'].warnings == []


def test_a_process_is_drawn_once_it_is_found(searching):
    folder = searching('distpro')
    assert drawn(folder) == ({}, dict.fromkeys(OF_DISTPRO, 'no process has been found yet'))
    write_process(folder)
    assert read_run(folder).processes == {'search': PATHWAYS}
    found, missing = drawn(folder)
    assert (list(found), missing) == (OF_DISTPRO, {})
    for picture in found.values():
        assert picture.name == f'{picture.kind}_search' and picture.draw().axes
    (folder / 'search' / 'pathways.json').unlink()  # as of a process that was written by hand
    assert read_run(folder).processes['search'].macs is None and drawn(folder)[0]['thresholds'].draw().axes


def test_a_damaged_record_of_a_search_names_its_file(searching):
    folder = searching('kd_zero')
    write_search(folder)
    (folder / 'search' / 'trials.json').write_text('{"evolution": [{}]}')
    with pytest.raises(ValueError, match='trials.json does not hold what is expected'):
        read_run(folder)
