"""DistPro as a stage: a process is searched while the student of a run is trained by it."""

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Annotated, ClassVar

from mmengine.dist import barrier, is_main_process
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner

from mmamd.checks import NOTHING, SECTION, Count, Positive, check, integer, number
from mmamd.distillation.distiller import distiller_of
from mmamd.distillation.joint_loop import macs_of_step
from mmamd.distillation.mixed_precision import on_this_machine
from mmamd.files.json_file import write_json
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import Images, Loader, with_test_pipeline
from mmamd.pipeline.plain import digest, plain
from mmamd.pipeline.stages import Distil, field_digests
from mmamd.pipeline.stages.term_files import write_found
from mmamd.pipeline.stages.training import last_checkpoint, loader_settings
from mmamd.registry import SEARCHES
from mmamd.search.contract import Search, fields_of
from mmamd.search.distpro.alpha_update import AlphaUpdate
from mmamd.search.distpro.hyper_gradient import RADIUS
from mmamd.search.distpro.recorder import Recorder
from mmamd.search.distpro.search_loop import KEY
from mmamd.weights.sources import fetch

PROCESS = 'process.json'
PATHWAYS = 'pathways.json'
OF_A_PROCESS = ('mode', 'threshold', 'relative_to_max', 'level_map')  # options of a term that nothing else can have
LEAST_EVERY = 2  # of the hold-out: one half of the images
# Forward passes of the student that a step of the alphas takes: four, and two backward passes, each of which is two.
PASSES = 8
TRANSFORM_PASSES = 5  # of the transforms: three, and one backward pass; the alphas' own gradient takes next to nothing


@SEARCHES.register_module()
@dataclass(frozen=True)
class DistProSearch(Search):
    """Search the process by which pathways are weighed; every training after it replays it.

    Attributes:
        term: Name of the term.
        loss: Options of :class:`mmamd.distillation.losses.distpro.ProcessLoss`, for the search and for the replay.
        replay: Options of the replay alone, such as ``dict(threshold=0.5)``.
        epochs: Of the search, by the schedule of the section ``student`` made that short; None for as many as there.
        every: Of the training images, every so many-th of each class is held out for the alphas, and not trained on
            while they are searched.
        lr: Learning rate of the alphas; DistPro has 0.1 for CNNs and 1e-3 for transformers.
        betas, radius: See :class:`mmamd.search.distpro.AlphaUpdate`.
        update_every: Steps of the weights for each of the alphas.
        record_every: Steps between recorded points; None for an epoch.

    Source: Deng et al., "DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization", ECCV 2022.
    """

    term: str = 'process'
    loss: dict = field(default_factory=dict)
    replay: dict = field(default_factory=dict)
    epochs: Count | None = None
    every: Annotated[int, integer(LEAST_EVERY)] = 5
    lr: Positive = 0.1
    betas: tuple[float, float] = (0.5, 0.999)
    radius: Positive = RADIUS
    update_every: Count = 1
    record_every: Count | None = None

    def __post_init__(self) -> None:
        for name, kind in (('loss', SECTION), ('replay', SECTION), ('epochs', integer(1) | NOTHING),
                           ('every', integer(LEAST_EVERY)), ('lr', number(above=0.)), ('radius', number(above=0.)),
                           ('update_every', integer(1)), ('record_every', integer(1) | NOTHING)):
            check(f'search.{name}', getattr(self, name), kind)
        for name, given in (('loss', self.loss), ('replay', self.loss | self.replay)):
            own = next((key for key in ('type', 'file', 'mode') if key in given and (key, name) != ('mode', 'replay')),
                       None)
            if own:
                raise ValueError(f'search.{name}.{own}={given[own]!r} is what the search says itself; leave it out')

    def term_of(self, **own) -> dict:
        """The term, by its name, with options that the search says."""
        return {self.term: dict(type='mmamd.ProcessLoss', **{**self.loss, **own})}

    def expected(self) -> dict:
        return self.term_of(**{key: value for key, value in self.replay.items() if key not in OF_A_PROCESS})

    def found(self) -> dict:
        """The terms that replay what is found."""
        return self.term_of(**self.replay, file=PROCESS)

    def stage(self, training: Distil, context: Context) -> 'DistPro':
        train = dict(type='mmamd.HoldOut', part='train', every=self.every,
                     dataset=plain(training.loader.settings['dataset']))
        held_out = with_test_pipeline({**train, 'part': 'held_out'}, context.cfg.test_dataloader.dataset)
        loader, held = (Loader({**training.loader.settings, 'dataset': plain(dataset)})
                        for dataset in (train, held_out))
        for key in ('batch_sampler', 'drop_last'):
            held.settings.pop(key, None)
        held.settings['sampler'] = dict(type='DefaultSampler', shuffle=True)
        own = fields_of(training, losses=training.losses | self.term_of(mode='search'), loader=loader,
                        images=context.training_images(loader),
                        schedule=training.schedule_of(self.epochs or training.recipe_epochs))
        return DistPro(**own, search=asdict(self), held_out=held, held_out_images=context.training_images(held))


@dataclass(frozen=True, kw_only=True)
class DistPro(Distil):
    """Search a process: ``process.json``, ``losses.json`` with the term that replays it, and ``pathways.json``.

    The last one says what the transforms of each pathway cost, in MACs of an image, forwards.

    Attributes:
        search: Options of :class:`DistProSearch`.
        held_out, held_out_images: What the alphas follow.
    """

    kind: ClassVar[str] = 'distpro'
    search: dict
    held_out: Loader
    held_out_images: Images

    @property
    def options(self) -> DistProSearch:
        return DistProSearch(**self.search)

    def check(self, context: Context) -> None:
        super().check(context)
        options = self.options
        distiller = self.untrained(context)
        wrapper = build_optim_wrapper(distiller, on_this_machine(self.schedule['optim_wrapper']))
        AlphaUpdate(distiller, wrapper.optimizer, lr=options.lr, betas=options.betas, radius=options.radius)

    def macs(self, context: Context) -> float:
        term = self.untrained(context).terms[self.options.term]
        update = context.macs_at(PASSES * self.scales(context)[0], PASSES) + TRANSFORM_PASSES * sum(term.pathway_macs)
        return super().macs(context) + update / self.options.update_every * self.images_seen

    def carry_out(self, context: Context) -> None:
        options, folder = self.options, context.work_dir / self.name
        held_out = loader_settings(self.held_out)
        loop = dict(type='mmamd.ProcessSearchLoop', held_out=held_out, lr=options.lr, betas=options.betas,
                    radius=options.radius, every=options.update_every, record_every=options.record_every)
        runner = self.train(context, loop, partial(_macs_of_step, term=options.term, every=options.update_every))
        # From the file, and not from the loop: a search that was interrupted behind its last step has had none.
        term = distiller_of(runner.model).terms[options.term]
        recorder = Recorder(term)
        recorder.load_state_dict(fetch(str(last_checkpoint(folder)))[KEY]['recorder'])
        if is_main_process():
            recorder.process(digest(field_digests(self))).write(folder / PROCESS)
            names = [pathway.name for pathway in term.pathways]
            write_json(folder / PATHWAYS, {'macs': dict(zip(names, term.pathway_macs, strict=True))})
            write_found(folder, options.found())
        barrier()


def _macs_of_step(runner: Runner, term: str, every: int) -> float:
    """MACs that an image of the latest step took, with its share of a step of the alphas."""
    distiller = distiller_of(runner.model)
    update = PASSES * distiller.candidates[0].cost.macs + TRANSFORM_PASSES * sum(distiller.terms[term].pathway_macs)
    return macs_of_step(runner) + update / every
