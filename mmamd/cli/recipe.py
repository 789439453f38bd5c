"""The config of a compression, proposed from a teacher and images: at most 30 lines, to be edited and run again."""

import math
from dataclasses import dataclass
from typing import Any

from mmamd.cli.data import Data, Part
from mmamd.cli.network import Described
from mmamd.files.config_text import Name, expression, written

MOST_LINES = 30
BATCH = 64
SEEN = 200_000  # images that the student sees: 200 epochs of 1,000 images, 4 of 50,000
EPOCHS = (10, 100)  # least and most
# Plain distillation, the teacher's outputs kept and no loss of the labels: what was best at equal cost in the study of
# budgets (results/2026-11-25_budgets.md), which had a view for every 2.5 epochs of plain distillation.
VIEWS = 0.4
# What shows an image the same each time: of a pipeline of these alone one view is all there is.
FIXED = ('LoadImageFromFile', 'Resize', 'ResizeEdge', 'CenterCrop', 'Pad', 'Normalize', 'PackInputs')
BUDGET = 1.0  # in runs of plain distillation of `epochs`; a student that learns from stored outputs has more for it
# Rates of AdamW by which recipes were recorded (small networks, 128 images a step) or are published (1,024).
SMALL, SMALL_RATE, LARGE_RATE = 5_000_000, 1e-3 / 128, 3e-3 / 1024
WARM_UP = 100  # steps, or a tenth of the stage where that is less


@dataclass(frozen=True)
class Schedule:
    """Lengths and rate of the trainings.

    Attributes:
        epochs: Of the student, if it asked the teacher in every step: what a budget is counted in.
        batch_size: Images a step.
        lr: Of AdamW.
        steps: Of an epoch.
    """

    epochs: int
    batch_size: int
    lr: float
    steps: int

    @property
    def warm_up(self) -> int:
        return max(1, min(WARM_UP, self.epochs * self.steps // 10))

    def views(self, budget: float | None, pipeline: list[dict]) -> int:
        """Stored views of an image, as a pipeline shows it.

        Args:
            budget: Of the run; None trains for `epochs`.
            pipeline: Of the training images.
        """
        if all(step['type'] in FIXED for step in pipeline):
            return 1
        return max(1, round(VIEWS * self.epochs * (budget or BUDGET)))


def schedule_of(num_images: int, num_params: int, epochs: int | None = None, batch_size: int | None = None) -> Schedule:
    """A schedule for so many training images and a teacher of so many parameters.

    As many epochs as show 200,000 images, at least 10 and at most 100; the rate of the recipes, in proportion to the
    batch.
    """
    batch_size = batch_size or min(BATCH, max(1, num_images // 4))
    epochs = epochs or min(EPOCHS[1], max(EPOCHS[0], math.ceil(SEEN / num_images)))
    rate = (SMALL_RATE if num_params < SMALL else LARGE_RATE) * batch_size
    return Schedule(epochs, batch_size, float(f'{rate:.1e}'), max(1, num_images // batch_size))


def every(smallest: int) -> int:
    """Every so many images of a class are held out: a tenth, or a fifth where classes are small.

    Of what is left as many may be held out again, so that three images are needed for both.
    """
    return 10 if smallest >= 100 else 5 if smallest >= 6 else max(2, smallest - 1)


def num_trained(data: Data) -> int:
    """Training images, without those that are held out for the choice and the test."""
    share = 1.
    for split in ('val', 'test'):
        if split not in data.parts:
            share *= 1 - 1 / every(data.smallest)
    return max(1, round(share * data.parts['train'].num))


def config_text(title: str, source: str, teacher: Described, data: Data, goal: dict[str, Any],
                schedule: Schedule) -> str:
    """The config as text, of at most 30 lines.

    Args:
        title: First line of its docstring.
        source: Of the teacher's weights.
        teacher, data: What was found out of them.
        goal: Keys of ``compression`` that say what student is wanted.
        schedule: Of the trainings.

    Raises:
        ValueError: If it does not fit, because of an architecture of many settings.
    """
    text = ''
    for own in dict.fromkeys((bool(teacher.train_pipeline), False)):  # the teacher's own where there is place for it
        train, test = _pipelines(teacher, own)
        lines = [*_head(title, source, teacher, data, goal), *written('train_pipeline', train),
                 *written('test_pipeline', test), *_loaders(data, schedule),
                 *_training(schedule, schedule.views(goal.get('budget'), train))]
        text = '\n'.join(lines) + '\n'
        if len(lines) <= MOST_LINES:
            return text
    raise ValueError(f'the architecture has so many settings that its config takes {len(lines)} lines; write a config '
                     'by hand (docs/compress_your_model.md) from\n\n' + text)


def _head(title: str, source: str, teacher: Described, data: Data, goal: dict) -> list[str]:
    base = 'amd_filters' if teacher.has_filters else 'amd'
    return [f'"""{title} Edit it, and run it with tools/train.py."""',
            *written('_base_', [f'mmamd::_base_/{name}.py' for name in (
                f'methods/{base}', 'datasets/own_images', 'default_runtime')]),
            f'data_root = {str(data.root)!r}',
            *written('data_preprocessor', dict(num_classes=teacher.num_classes, **teacher.preprocessor)),
            *written('architecture', teacher.architecture),
            *written('model', dict(teacher=source, architecture=Name('architecture'),
                                   losses=dict(ce=dict(weight=0.0), feat=dict(weight=0.0)))),
            *written('compression', goal | dict(prune=teacher.units) | ({'refit': {}} if teacher.has_filters else {}))]


def _pipelines(teacher: Described, own: bool) -> tuple[list[dict], list[dict]]:
    height, width = teacher.size
    grey = teacher.architecture['backbone'].get('in_channels', 3) == 1
    read = [dict(type='LoadImageFromFile', **(dict(color_type='grayscale') if grey else {}))]
    small = max(height, width) <= 64
    square = [dict(type='Resize', scale=(width, height))] if small else [
        dict(type='ResizeEdge', scale=round(max(height, width) / 224 * 256), edge='short')]
    crop = [] if small else [dict(type='CenterCrop', crop_size=(height, width))]
    shake = dict(padding=max(1, height // 8)) if small else {}
    test = _reading(teacher.test_pipeline) or [*read, *square, *crop, dict(type='PackInputs')]
    train = (_reading(teacher.train_pipeline) if own else None) or [
        *read, *square, dict(type='RandomCrop', crop_size=(height, width), **shake), dict(type='RandomFlip', prob=0.5),
        dict(type='PackInputs')]
    return train, test


def _reading(pipeline: list | None) -> list | None:
    """A pipeline, if it reads files."""
    return pipeline if pipeline and str(pipeline[0].get('type')).endswith('LoadImageFromFile') else None


def _loaders(data: Data, schedule: Schedule) -> list[str]:
    lines = written('images', _images(data.parts['train']))
    train, again = 'dict(**images, pipeline=train_pipeline)', 'dict(**images, pipeline=test_pipeline)'
    if not {'val', 'test'} <= data.parts.keys():
        lines += written('held', dict(type='mmamd.HoldOut', every=every(data.smallest)))
    found = {split: expression(dict(**_images(data.parts[split]), pipeline=Name('test_pipeline')))
             for split in ('val', 'test') if split in data.parts}
    for split in ('test', 'val'):  # the test images first: what chooses is held out of what is left
        if split not in found:
            found[split] = f"dict(**held, part='held_out', dataset={again})"
            train, again = (f"dict(**held, part='train', dataset={images})" for images in (train, again))
    return [*lines, f'train_dataloader = dict(batch_size={schedule.batch_size}, dataset={train})',
            *(f'{split}_dataloader = dict(dataset={found[split]})' for split in ('val', 'test'))]


def _images(part: Part) -> dict:
    listed = {} if part.ann_file is None else dict(
        ann_file=part.ann_file, classes=part.ann_file.rpartition('/')[0] + '/classes.txt')
    return dict(type='CustomDataset', data_prefix=part.prefix, **listed)


def _training(schedule: Schedule, views: int) -> list[str]:
    return ["method = dict(type='mmamd.KD')", f'teacher_cache = dict(views={views})',
            f"optim_wrapper = dict(optimizer=dict(type='AdamW', lr={schedule.lr:g}, weight_decay=0.05))",
            f'auto_scale_lr = dict(base_batch_size={schedule.batch_size})',
            f"schedule = [dict(type='LinearLR', start_factor=0.01, by_epoch=False, end={schedule.warm_up}),",
            "            dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]",
            f'student = dict(train_cfg=dict(max_epochs={schedule.epochs}), param_scheduler=schedule)']
