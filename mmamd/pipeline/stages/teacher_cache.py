"""Teachers that are asked once a view of an image: what a config says of it, what it cannot go with, and where it lies.

Views are what augmentation makes of an image, numbered from 0; an epoch shows view ``epoch % views`` of every image.
The logits of a teacher are kept in ``<work_dir>/teacher_cache/<digest>/``, which all stages of a run with the same
teacher, images, augmentation and seed share.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from mmengine.config import Config
from mmengine.dist import barrier, get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmamd.checks import Count
from mmamd.distillation.distiller import AMDDistiller, distiller_of
from mmamd.distillation.teacher_cache import TeacherCache
from mmamd.files.json_file import read_json, write_json
from mmamd.pipeline.config.keys import check_options
from mmamd.pipeline.config.settings import PRECISION
from mmamd.pipeline.context import Context
from mmamd.pipeline.inputs import Loader
from mmamd.pipeline.plain import digest, merge, plain
from mmamd.pipeline.stages.data import check_places
from mmamd.pipeline.stages.stage import network_identity
from mmamd.structures import Network

if TYPE_CHECKING:
    from mmamd.pipeline.stages.distil import Distil

MOST_WHOLE = 1000  # classes up to which all logits are kept: 2 kB an image and view
FOLDER = 'teacher_cache'  # of a work_dir
IDENTITY = 'identity.json'  # in a cache's folder
# What shows an image otherwise than as the one view of its epoch, by the end of its type.
UNREPEATED = {'RepeatAugSampler': 'shows an image several times an epoch, each time augmented anew',
              'SwitchRecipeHook': 'changes the augmentation as training goes on'}


@dataclass(frozen=True, kw_only=True)
class TeacherCacheSettings:
    """The key ``teacher_cache`` of a config or of a section.

    Attributes:
        views: Views of an image, each of which the teacher is asked for once.
        top_k: Classes whose logits are kept one by one where there are more than 1,000 classes; the others share the
            remaining probability evenly. 100 of 21,841 is what TinyViT (Wu et al. 2022) keeps of ImageNet-21k.
    """

    views: Count
    top_k: Count = 100

    def identity(self) -> dict:
        return asdict(self)


def section_cache(cfg: Config, section: str) -> TeacherCacheSettings | None:
    """What a stage keeps of its teachers: ``teacher_cache`` of the top level with the section's merged over it.

    Raises:
        ValueError: If it is no dict with ``views``, has an unknown key, or a number in it is not positive.
    """
    found, where, own = plain(cfg.get(FOLDER)), FOLDER, plain(cfg.get(section) or {})
    if FOLDER in own:
        found, where = merge(found, own[FOLDER]), f'{section}.{FOLDER}'
    if found is None:
        return None
    if isinstance(found, dict):
        check_options(where, TeacherCacheSettings, found, hint='')
    if not isinstance(found, dict) or 'views' not in found:
        raise ValueError(f'{where} must be None or a section that says how many views of an image there are, got '
                         f'{found!r}; e.g. {where}=dict(views=4)')
    return TeacherCacheSettings(**found)


# --- before anything runs ---

def check_cache(stage: 'Distil', distiller: AMDDistiller, context: Context) -> None:
    """Raise ValueError where more than logits is asked of a teacher, or the images of a view would not come again."""
    without = f'or ask the teacher every time: {stage.section}.{FOLDER}=None'
    if not distiller.is_taught:
        raise ValueError(f'{FOLDER}: no term of {stage.section}.losses asks the teacher, so there is nothing to keep, '
                         f'and views would only make the images fewer; set {stage.section}.{FOLDER}=None')
    for name, term in distiller.terms.items():
        if any(term.pairs):
            raise ValueError(f"losses.{name}: a {type(term).__name__} watches the teacher's hidden states, and "
                             f'{FOLDER} keeps its logits alone; set {stage.section}.losses.{name}.weight=0, {without}')
    if getattr(distiller.data_preprocessor, 'batch_augments', None) is not None:
        raise ValueError(f'{FOLDER}: the data_preprocessor mixes the images of a batch (mixup, cutmix), so no image '
                         'comes again; leave model.architecture.train_cfg.augments and data_preprocessor.'
                         f'batch_augments out, {without}')
    for part in (stage.loader.settings.get('sampler') or {}, *stage.hooks):
        for kind, what in UNREPEATED.items():
            if str(part.get('type')).endswith(kind):
                raise ValueError(f'{FOLDER}: {kind} {what}, so a view is not what it was; leave it out, {without}')
    if len(context.logits_shape) != 1:
        raise ValueError(f'{FOLDER} keeps one vector of logits an image, and the teacher has logits of shape '
                         f'{context.logits_shape} (classes first); set {stage.section}.{FOLDER}=None')
    check_places(context.training_dataset(stage.loader), stage.seed)  # the others are asked when they come


# --- doing it ---

def repeating(loader: Loader, seed: int) -> Loader:
    """A loader of the same images in numbered views."""
    dataset = dict(type='mmamd.RepeatedViews', dataset=loader.settings['dataset'], seed=seed)
    return Loader({**loader.settings, 'dataset': dataset})


def cache_folder(root: Path, identity: dict) -> Path:
    """The folder of what is known by an identity, made by the first rank; all processes must see it.

    Args:
        root: Folder of all caches of a run.
        identity: Name of an input -> value, all that the logits depend on.

    Raises:
        ValueError: If what lies there was made from other inputs; it names them.
        FileNotFoundError: If this process does not see what the first one has made.
    """
    ours = {name: digest(value, name) for name, value in identity.items()}
    folder = root / digest(ours)
    if is_main_process() and not (folder / IDENTITY).exists():
        write_json(folder / IDENTITY, ours)
    barrier()
    if not (folder / IDENTITY).exists():
        raise FileNotFoundError(f"this process does not see {folder}, which the first one has made; processes on "
                                f"several machines need a work_dir on a file system that they share, or {FOLDER}=None")
    found = read_json(folder / IDENTITY)
    changed = sorted(name for name in found.keys() | ours.keys() if found.get(name) != ours.get(name))
    if changed:
        raise ValueError(f"{folder} holds a teacher's logits that were made from other inputs; they differ in: "
                         f'{", ".join(changed)}. Delete the folder, and the teacher is asked anew, or give another '
                         '--work-dir')
    return folder


class TeacherCacheHook(Hook):
    """Let a distiller's teachers be asked once a view, and number the views.

    An epoch that drops its last images leaves them without a row, and each would ask for a whole batch of a later
    epoch. So they are asked about when the epoch ends, one by one: what a row holds then depends on no other image.
    A stream drops none, it deals them out in its next epoch; there an image is asked about when it comes.

    Args:
        caches: One a teacher.
        views: Number of views.
        is_stream: Whether epochs are of a stream.
        spend: Called with the MACs that the teachers of all processes have taken between epochs.
    """

    def __init__(self, caches: list[TeacherCache], views: int, is_stream: bool,
                 spend: Callable[[float], None]) -> None:
        self.caches = caches
        self.views = views
        self.is_stream = is_stream
        self._spend = spend

    def before_train(self, runner: Runner) -> None:
        distiller_of(runner.model).caches = self.caches

    def before_train_epoch(self, runner: Runner) -> None:
        # The epoch's loader starts after this, and with it the workers, which read the view that is set here.
        view = runner.epoch % self.views
        runner.train_dataloader.dataset.view = view
        for cache in self.caches:
            cache.view = view

    def after_train_epoch(self, runner: Runner) -> None:
        does_view_return = runner.epoch + self.views < runner.max_epochs
        if not does_view_return or self.is_stream:
            return
        barrier()  # every process has written its rows
        missing = [cache.missing() for cache in self.caches]
        barrier()  # and has looked, before any goes on writing
        distiller, loader = distiller_of(runner.model), runner.train_dataloader
        for cache, images, teacher, renormalise in zip(
                self.caches, missing, distiller.teachers, distiller.renormalisations, strict=True):
            for image in images[get_rank()::get_world_size()]:
                data = distiller.data_preprocessor(loader.collate_fn([loader.dataset[image]]), training=True)
                with torch.no_grad(), runner.optim_wrapper.optim_context(runner.model):
                    cache.put(image, teacher(renormalise(data['inputs']), mode='tensor'))
        barrier()  # an epoch of the same view may be next, and rows that are there must stay
        self._spend(sum(len(images) * network.cost.macs for images, network in zip(
            missing, distiller.teacher_networks, strict=True)))


def cache_hook(stage: 'Distil', context: Context, teachers: list[Network]) -> TeacherCacheHook:
    """The hook of a stage, with what its teachers have been asked before, by any stage of the run."""
    num_classes, = context.logits_shape
    settings, wrapper = stage.teacher_cache, stage.schedule['optim_wrapper']
    top_k = settings.top_k if num_classes > max(MOST_WHOLE, settings.top_k) else None
    common = {'data': stage.images, 'seed': stage.seed, 'top_k': top_k,
              'augmentation': [stage.loader.identity()['dataset'], stage.architecture.get(
                  'data_preprocessor', stage.distiller.get('data_preprocessor'))],
              'precision': {key: wrapper.get(key) for key in PRECISION}}
    folders = [cache_folder(context.work_dir / FOLDER, {'teacher': network_identity(teacher), **common})
               for teacher in teachers]
    return TeacherCacheHook([TeacherCache(folder, stage.images.num, num_classes, top_k) for folder in folders],
                            settings.views, stage.loader.is_stream, partial(context.spend, stage.name, 0.))
