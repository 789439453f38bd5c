"""The pictures of searches: what can be drawn of each from the files of a run, and how it is read.

Each of these functions returns pictures, or in a sentence why there are none; nothing for a run that has not searched.
"""

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from mmamd.visualization.operations_plot import operations_figure
from mmamd.visualization.picture import Picture
from mmamd.visualization.probability_plot import probability_figure
from mmamd.visualization.process_plot import process_figure
from mmamd.visualization.proxy_plot import LEAST, proxy_figure
from mmamd.visualization.rejection_plot import rejection_figure
from mmamd.visualization.run_files import Run
from mmamd.visualization.search_plot import search_figure
from mmamd.visualization.searched import Pathways, Searched, by
from mmamd.visualization.shares_plot import shares_figure
from mmamd.visualization.threshold_plot import threshold_figure

TOP = 10  # distillers whose operations are counted


# --- of KD-Zero ---

def _search(run: Run) -> list[Picture] | str:
    return [Picture('search', stage, f'Search of a distiller: {stage}', _outcome(searched),
                    partial(search_figure, searched))
            for stage, searched in run.searches.items() if searched.evaluated] or _none_yet(run)


def _outcome(searched: Searched) -> str:
    outcomes = '; '.join(f'the best of {len(trials)} by {by(method)} has '
                         f'{min(trial.fitness for trial in trials):.4g}'
                         for method, trials in searched.evaluated.items())
    return ('Fitness of the student of every distiller that was tried; of the worst tenth the dots are not shown. '
            f'{outcomes[:1].upper()}{outcomes[1:]}. What is found so far is {searched.best(1)[0].genome}.')


def _rejections(run: Run) -> list[Picture] | str:
    return [Picture('rejections', f'rejections_{stage}', f'Why distillers were rejected: {stage}',
                    'Share of the distillers that were drawn, and their number at the bars. No student was trained by '
                    'them, unless its training diverged or it was no better than chance.',
                    partial(rejection_figure, searched)) for stage, searched in run.searches.items()
            if any(trial.reason for trials in searched.trials.values() for trial in trials)] or (
                'no distiller has been rejected' if run.searches else _none_yet(run))


def _probabilities(run: Run) -> list[Picture] | str:
    return [Picture('probabilities', f'probabilities_{stage}', f'Which operations are drawn less often: {stage}',
                    'Each column is a generation. What stands in rejected distillers, or in the worst ones, is drawn '
                    'less often afterwards, and all else more often. The nearer to the colour of the page, the rarer.',
                    partial(probability_figure, searched)) for stage, searched in run.searches.items()
            if len(searched.began_at) > 1] or (
                'no probability has changed: it does after search.evolution.shrinkage.interval evaluations, and never '
                'in a search by chance' if run.searches else _none_yet(run))


def _operations(run: Run) -> list[Picture] | str:
    return [Picture('operations', f'operations_{stage}', f'What the best distillers are made of: {stage}',
                    'In how many of them each operation and each number stands.',
                    partial(operations_figure, searched.best(TOP)))
            for stage, searched in run.searches.items() if searched.evaluated] or _none_yet(run)


def _proxies(run: Run) -> list[Picture] | str:
    found = []
    for stage in run.searches:
        retrained = list(run.retrained.get(stage, {}).values())
        if len(retrained) > 1:
            told = (' A rank correlation of -1 says that proxies rank distillers as whole trainings do, 0 that they '
                    'tell nothing.' if len(retrained) >= LEAST else '')
            metric = run.summary['metric'] if run.summary else 'performance'
            found.append(Picture(
                'proxies', f'proxies_{stage}', f'What the fitness of a proxy is worth: {stage}',
                'Each dot is a distiller by which students were trained to their end: their mean, least and largest '
                f'performance.{told}', partial(proxy_figure, retrained, metric)))
    return found or ('fewer than two distillers were trained to the end; name finished runs by others: '
                     'tools/visualise.py WORK_DIR --retrained RUN ...' if run.searches else _none_yet(run))


def _none_yet(run: Run) -> list[Picture] | str:
    return 'no distiller has been evaluated yet' if run.of_kind('kd_zero') else []


# --- of DistPro ---

def _of_processes(kind: str, title: str, caption: str, figure: Callable[..., Figure],
                  fits: Callable[[Pathways], bool] = lambda process: True) -> Callable[[Run], list[Picture] | str]:
    def make(run: Run) -> list[Picture] | str:
        return [Picture(kind, f'{kind}_{stage}', f'{title}: {stage}', caption, partial(figure, process))
                for stage, process in run.processes.items() if fits(process)] or (
                    'no process has been found yet' if run.of_kind('distpro') else [])

    return make


OF_SEARCHES: dict[str, Callable[[Run], list[Picture] | str]] = {
    'search': _search, 'rejections': _rejections, 'probabilities': _probabilities, 'operations': _operations,
    'proxies': _proxies,
    'process': _of_processes(
        'process', 'Weights of the pathways over the training',
        "A panel is a pathway: t0-s2 leads from the student's level 2 to the teacher's level 0, levels being numbered "
        'from low to high. The others stand behind it in grey.', process_figure),
    'shares': _of_processes(
        'shares', 'Shares of the pathways', 'Of all weights at a time. A pathway whose band grows takes over.',
        shares_figure, lambda process: len(process.progress) > 1),
    'thresholds': _of_processes(
        'thresholds', 'What a threshold would leave',
        'Share of the recorded weights that are at least the threshold, and of the arithmetic of the transforms that '
        'would still be run: what replay=dict(threshold=...) saves.', threshold_figure)}
