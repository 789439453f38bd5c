"""KD-Zero as a stage: a distiller is searched for the student of a run, by students that are trained for a short while.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, ClassVar

from mmamd.checks import NOTHING, Count, Whole, check, integer, number
from mmamd.distillation.genome import EXAMPLE, Genome
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import Loader
from mmamd.pipeline.stages import Distil, fingerprint
from mmamd.pipeline.stages.held_out import HeldOut
from mmamd.pipeline.stages.term_files import write_found
from mmamd.registry import SEARCHES
from mmamd.search.contract import Search, fields_of, section
from mmamd.search.kd_zero.evolution import Evolution, Trial, best
from mmamd.search.kd_zero.fitness import Fitness
from mmamd.search.kd_zero.proxies import Proxies
from mmamd.search.kd_zero.record import count_trained, write_record
from mmamd.search.kd_zero.rejection import Bounds, reason_against
from mmamd.search.kd_zero.search_progress import SearchProgress
from mmamd.search.kd_zero.shrinkage import Shrinkage
from mmamd.search.kd_zero.space import Space
from mmamd.seeds import derive_seed

SHARE = number(above=0., most=1.)
STORE = 'trials.journal'


@SEARCHES.register_module()
@dataclass(frozen=True)
class KDZeroSearch(Search):
    """Evolve a distiller for the student of a run; every training after it has the best one as a term.

    Attributes:
        term: Name of the term.
        space: Which distillers there are: options of :class:`mmamd.search.kd_zero.space.Space`.
        evolution: How they are searched: options of :class:`mmamd.search.kd_zero.evolution.Evolution`.
        fitness: What is minimised, on held-out images: options of :class:`mmamd.search.kd_zero.fitness.Fitness`.
        bounds: Beyond which a distiller is rejected before any training, on one batch:
            :class:`mmamd.search.kd_zero.rejection.Bounds`.
        proxy_share: Share of the epochs of the section ``student`` that a student is trained for; at least one epoch.
        proxy_epochs: Takes its place. 0 is the paper's "training-free" search, as far as there is one: a single step,
            without which Eq. 2 is the same for all distillers.
        proxy_images: Images of such an epoch; None for all.
        give_up_after: Share of the steps after which a student that is no better than chance on the held-out images is
            given up, and its distiller rejected; at its end such a student is rejected too. None, and
            ``proxy_epochs=0``, reject none so.
        num_held_out: Images of the split ``val`` that students are judged by; all, when there are fewer.
        store: Where the trials are kept: URL of a database (``'postgresql://...'``), or path of a journal file for
            runs of one machine. Runs of one config that name the same share one population: each trains a part of the
            students, and all find one distiller. None for a journal in the folder of the run.
        random: Whether a random search of as many evaluations is carried out beside it, to compare. None for where it
            is cheap: its students see no more images, all together, than the student of the run does.
        layer, embedding: Of the term, see :class:`mmamd.distillation.losses.genome.GenomeLoss`.

    Source: Li et al., "KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs", NeurIPS 2023.
    """

    term: str = 'found'
    space: Space = field(default_factory=Space)
    evolution: Evolution = Evolution()
    fitness: Fitness = Fitness()
    bounds: Bounds = Bounds()
    proxy_share: Annotated[float, SHARE] = 0.05
    proxy_epochs: Whole | None = None
    proxy_images: Count | None = None
    give_up_after: Annotated[float, SHARE] | None = 0.5
    num_held_out: Annotated[int, integer(2)] = 1000
    store: str | None = None
    random: bool | None = None
    layer: str | tuple[str, str] = 'last'
    embedding: tuple[str, str] = ('backbone', 'backbone')

    def __post_init__(self) -> None:
        check('search.proxy_share', self.proxy_share, SHARE)
        check('search.give_up_after', self.give_up_after, SHARE | NOTHING)
        evolution = self.evolution
        if isinstance(evolution, dict) and 'shrinkage' in evolution:
            evolution = {**evolution, 'shrinkage': section('search.evolution.shrinkage', Shrinkage,
                                                           evolution['shrinkage'])}
        for name, cls, given in (('space', Space, self.space), ('evolution', Evolution, evolution),
                                 ('fitness', Fitness, self.fitness), ('bounds', Bounds, self.bounds)):
            object.__setattr__(self, name, section(f'search.{name}', cls, given))

    def step_of_judgement(self, steps: int) -> int | None:
        """After how many of its steps a student is judged before its end; None if it is not."""
        step = None if self.give_up_after is None else math.ceil(self.give_up_after * steps)
        return step if step is not None and step < steps else None

    def term_of(self, genome: Genome | str) -> dict:
        """A distiller as a term of the loss, by its name."""
        return {self.term: dict(type='mmamd.GenomeLoss', genome=str(genome), layer=self.layer,
                                embedding=self.embedding)}

    def expected(self) -> dict:
        return self.term_of(EXAMPLE)

    def stage(self, training: Distil, context: Context) -> 'KDZero':
        epochs = self.proxy_epochs
        if epochs is None:
            epochs = max(1, round(self.proxy_share * training.recipe_epochs))
        size = training.loader.settings['batch_size']
        if self.proxy_images is not None and self.proxy_images < size:
            raise ValueError(f'search.proxy_images={self.proxy_images} is less than a batch; give at least '
                             f'train_dataloader.batch_size={size}, or make that smaller')
        num, loader = self.proxy_images if epochs else size, training.loader.settings
        if num is not None:
            loader = {key: value for key, value in loader.items() if key != 'batch_sampler'}
            loader['sampler'] = dict(type='mmamd.StreamSampler', num_samples=num)
        own = fields_of(training, losses=training.losses | self.expected(), loader=Loader(loader),
                        schedule=training.schedule_of(max(1, epochs)))
        search = asdict(self)
        stage = KDZero(**own, store=search.pop('store'), search=search,
                       held_out=HeldOut.of(context, self.num_held_out))
        if self.random is not None:
            return stage
        is_cheap = self.evolution.evaluations * stage.images_seen <= training.images_seen
        return replace(stage, search={**search, 'random': is_cheap})


@dataclass(frozen=True, kw_only=True)
class KDZero(Distil):
    """Search a distiller: ``losses.json`` with the best one, ``trials.json`` and ``generations.json``, and their store.

    What it is beside these is the training of the student of a trial.

    Attributes:
        search: Options of :class:`KDZeroSearch`, but where its trials are kept.
        held_out: Images that fitness is read from.
        store: Where trials are kept that runs share; None for those of this run alone, in its folder.
    """

    kind: ClassVar[str] = 'kd_zero'
    search: dict
    held_out: HeldOut
    store: str | None = None

    @property
    def options(self) -> KDZeroSearch:
        return KDZeroSearch(**self.search)

    @property
    def methods(self) -> tuple[str, ...]:
        """Of the searches that are carried out, the first of which finds the term."""
        own = self.options.evolution.method
        return (own, 'random') if self.options.random and own != 'random' else (own,)

    def check(self, context: Context) -> None:
        import_module('mmamd.search.kd_zero.study')  # says what to install where Optuna is missing
        import_module('mmamd.search.kd_zero.store').check_reached(self.store)
        if self.processes > 1:
            raise ValueError(f'search.type=mmamd.KDZeroSearch trains one student after the other in one process, got '
                             f'{self.processes}; start it without a launcher, and continue with one afterwards. To '
                             'share the work, start several runs with one search.store')
        if len(context.logits_shape) > 1:
            raise ValueError(f'search.type=mmamd.KDZeroSearch judges students by one class an image, and the logits of '
                             f'model.architecture are of shape {context.logits_shape}; name a found distiller instead: '
                             "model.losses.found=dict(type='mmamd.GenomeLoss', genome=...)")
        for what in self.options.space.inputs:
            term = self.options.term_of(_untouched(what))
            super(KDZero, replace(self, losses=self.losses | term)).check(context)

    @property
    def judgements(self) -> int:
        """How often the student of a trial is judged: at its end, and before it to see whether it is given up."""
        epochs = self.recipe_epochs
        steps = epochs * max(1, self.images_seen // epochs // self.loader.settings['batch_size'])
        return 1 + (self.options.step_of_judgement(steps) is not None)

    def macs_of_trial(self, context: Context) -> float:
        """What the student of one distiller takes, as long as it is not given up."""
        student = context.macs_at(self.scales(context)[0])
        return self.macs_of(context, self.recipe_epochs) + self.judgements * self.held_out.num * student

    def macs(self, context: Context) -> float:
        trials = len(self.methods) * self.options.evolution.evaluations
        return trials * self.macs_of_trial(context) + self.held_out.num * context.teacher_cost.macs

    def trainings(self, work_dir: Path) -> int:
        return count_trained(work_dir / self.name)

    def carry_out(self, context: Context) -> None:
        from mmamd.search.kd_zero.study import search  # needs Optuna

        options, folder = self.options, context.work_dir / self.name
        progress = SearchProgress(self.name, context.progress, options.evolution.evaluations, len(self.methods))
        proxies = Proxies(self, context, progress.within)
        knowledge = proxies.knowledge({what: _untouched(what) for what in options.space.inputs})
        found: dict[str, list[Trial]] = {}

        def watch(trials: list[Trial]) -> None:
            found[method] = trials
            progress.trials(trials)
            write_record(folder, found, options.space, self._settings(self.methods[0]))

        for method in self.methods:
            progress.begin()
            search(proxies.evaluate, options.space, self._settings(method), self.store or folder / STORE,
                   reason_against=lambda genome: reason_against(genome, knowledge, options.bounds),
                   about=self._about(context.work_dir), watch=watch)
        write_found(folder, options.term_of(best(found[self.methods[0]], 1)[0].key))

    def _about(self, work_dir: Path) -> dict[str, str]:
        """What fitness depends on, for a store that runs share; a run looks itself after that in its folder."""
        if self.store is None:
            return {}
        judged = {key: value for key, value in self.search.items() if key not in ('space', 'evolution', 'random')}
        return fingerprint(replace(self, search=judged, store=None), work_dir)

    def _settings(self, method: str) -> Evolution:
        evolution = self.options.evolution
        return replace(evolution, method=method, seed=derive_seed(self.seed, self.name, evolution.seed))


def _untouched(what: str) -> Genome:
    """A distiller that compares what a genome calls so as it is."""
    return Genome(what, ('no', 'no', 'no'), 'l2')
