"""The search: trials are proposed by the evolution, rejected or evaluated, and kept in a store."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

try:
    import optuna
except ModuleNotFoundError as error:
    raise ImportError("a search keeps its trials by Optuna, which is not installed: pip install 'mmamd[search]'"
                      ) from error
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from mmamd.distillation.genome import Genome
from mmamd.search.kd_zero.evolution import Evolution, Trial, is_evaluated, propose
from mmamd.search.kd_zero.rejection import Rejected
from mmamd.search.kd_zero.space import Genes, Space, genome_of
from mmamd.search.kd_zero.store import WAIT, Turn, fail_dead_trials, open_study, trials_of, worker

NAME = 'kd_zero'
VERSION = 1  # of what a store holds
MOST_IDLE = 1000  # trials in succession that are rejected or known, after which a space counts as exhausted

Evaluate = Callable[[Genome], Mapping[str, float]]


class EvolutionSampler(optuna.samplers.BaseSampler):
    """KD-Zero's evolution as a sampler of Optuna's: a genome is eight categorical parameters.

    It draws nothing by itself and remembers nothing but the roles of the trials that it has proposed, by number, which
    a trial's owner notes down with it.
    """

    def __init__(self, space: Space, settings: Evolution) -> None:
        self.space = space
        self.settings = settings
        self.roles: dict[int, str] = {}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {gene: CategoricalDistribution(choices) for gene, choices in self.space.choices.items()}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial,
                        search_space: dict[str, BaseDistribution]) -> Genes:
        earlier = [each for each in study.get_trials(deepcopy=False)
                   if each.number < trial.number and each.state != TrialState.FAIL]
        self.roles[trial.number], genes = propose(trials_of(study, before=trial.number), len(earlier), self.space,
                                                  self.settings)
        return genes

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, param_name: str,
                           param_distribution: BaseDistribution) -> Any:
        raise ValueError(f'{param_name!r} is no gene of the space; expected one of {list(self.space.choices)}')


def search(evaluate: Evaluate, space: Space, settings: Evolution, store: str | Path | None = None, *,
           reason_against: Callable[[Genome], str | None] = lambda genome: None, about: Mapping[str, Any] | None = None,
           watch: Callable[[list[Trial]], None] = lambda trials: None) -> list[Trial]:
    """Search for the distiller of least fitness, until enough of them have been evaluated.

    A search that was interrupted goes on where it was, and comes to the same. Several processes that are given one
    store share the work, and all return the same trials: who has nothing left to begin waits for the others, and takes
    over what one that dies was trying. What they come to depends on who is faster.

    Args:
        evaluate: A genome's fitness as ``'fitness'``, the smaller the better, beside whatever is to be kept with it. It
            may raise :class:`mmamd.search.kd_zero.rejection.Rejected`, where a training collapses. It should depend on
            nothing but the genome.
        space: Which distillers there are.
        settings: How they are searched. ``evaluations`` may be raised to go on with a search that has ended.
        store: See :func:`mmamd.search.kd_zero.store.open_study`.
        reason_against: Why a genome is not to be evaluated at all; None for no reason.
        about: What else the fitness depends on, as plain values: a search of another is refused.
        watch: Called with all trials, before the first one that is tried here and after each.

    Returns:
        All trials, by position.

    Raises:
        ValueError: The store holds a search of other settings.
        RuntimeError: The space is exhausted.
    """
    sampler = EvolutionSampler(space, settings)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # not a line a trial
    try:
        study = open_study(store, f'{NAME}_{settings.method}', _fingerprint(space, settings, about), sampler)
        return _carry_on(study, evaluate, reason_against, settings, store, watch)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _carry_on(study: optuna.Study, evaluate: Evaluate, reason_against: Callable[[Genome], str | None],
              settings: Evolution, store: str | Path | None, watch: Callable[[list[Trial]], None]) -> list[Trial]:
    turn = Turn(store)

    def objective(trial: optuna.Trial) -> float:
        genes, like = _begin(trial, study)
        turn.pass_on()
        return _outcome(trial, genes, like, evaluate, reason_against)

    try:
        while True:
            turn.take()
            fail_dead_trials(study, store)
            trials = trials_of(study)
            watch(trials)
            if _goes_on(trials, settings):
                study.optimize(objective, n_trials=1)
            elif any(map(_is_being_tried, trials)):
                turn.pass_on()
                time.sleep(WAIT)
            else:
                return trials
    except BaseException:
        _give_up_own(study)
        raise
    finally:
        turn.pass_on()


def _begin(trial: optuna.Trial, study: optuna.Study) -> tuple[Genes, Trial | None]:
    """Genes of a trial, which are noted down with whose it is; and an earlier trial that came to the same."""
    sampler = study.sampler
    trial.set_user_attr('worker', worker())
    genes = {gene: trial.suggest_categorical(gene, choices) for gene, choices in sampler.space.choices.items()}
    key = sampler.space.key(genes)
    like = next((each for each in trials_of(study, before=trial.number)
                 if each.key == key and not _is_being_tried(each)), None)
    trial.set_user_attr('genome', key)
    trial.set_user_attr('known', like is not None)
    trial.set_user_attr('role', sampler.roles.pop(trial.number))
    return genes, like


def _outcome(trial: optuna.Trial, genes: Genes, like: Trial | None, evaluate: Evaluate,
             reason_against: Callable[[Genome], str | None]) -> float:
    """The fitness, or TrialPruned with its reason noted down."""
    try:
        if like is not None:
            parts, reason = {**like.parts, 'fitness': like.fitness}, like.reason
        else:
            reason = reason_against(genome_of(genes))
            parts = {} if reason else {name: float(value) for name, value in evaluate(genome_of(genes)).items()}
        if reason is not None:
            raise Rejected(reason)
        if not math.isfinite(parts['fitness']):
            raise Rejected('fitness not finite')
    except Rejected as rejected:
        trial.set_user_attr('reason', str(rejected))
        raise optuna.TrialPruned(str(rejected)) from rejected
    trial.set_user_attr('parts', parts)
    return parts['fitness']


def _goes_on(trials: list[Trial], settings: Evolution) -> bool:
    evaluated = [trial.position for trial in trials if is_evaluated(trial)]
    if len(evaluated) + sum(map(_is_being_tried, trials)) >= settings.evaluations:
        return False
    if trials and trials[-1].position - max(evaluated, default=-1) >= MOST_IDLE:
        raise RuntimeError(f'the last {MOST_IDLE} distillers were all rejected, or known: of {settings.evaluations} '
                           f'evaluations {len(evaluated)} are done. Widen the space or its bounds, or ask for fewer')
    return True


def _is_being_tried(trial: Trial) -> bool:
    return trial.fitness is None and trial.reason is None


def _give_up_own(study: optuna.Study) -> None:
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get('worker') == worker():
            study.tell(trial.number, state=TrialState.FAIL)


def _fingerprint(space: Space, settings: Evolution, about: Mapping[str, Any] | None) -> dict[str, Any]:
    evolution = asdict(settings)
    del evolution['evaluations']
    return {'version': VERSION, **evolution, **space.choices, 'probabilities': space.start(), 'dense': space.dense,
            'about': dict(about or {})}
