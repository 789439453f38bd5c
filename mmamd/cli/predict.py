"""``mmamd predict RUN IMAGE FOLDER/``: what the delivered student takes images for."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from mmamd.api import load_student
from mmamd.cli.data import IMAGES
from mmamd.files.run_config import read_run_config
from mmamd.pipeline.inputs import pipeline_of
from mmamd.tasks import Task, task_of

BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('work_dir', help='folder of a finished run')
    parser.add_argument('images', nargs='+', metavar='IMAGE', help='images, and folders of images')
    parser.add_argument('--scale', type=float, help='of the student, in a run of several')
    parser.add_argument('--top', type=int, default=1, metavar='N', help='classes that are named of each image (1)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')


def run(args: argparse.Namespace) -> None:
    if args.top < 1:
        raise ValueError(f'--top must be a positive integer, got {args.top}')
    paths = list(_files(args.images))
    with redirect_stdout(sys.stderr):  # where the host prints what it reads
        student = load_student(args.work_dir, args.device, scale=args.scale)
    cfg = read_run_config(args.work_dir)
    init_default_scope(cfg.get('default_scope') or 'mmpretrain')
    task, classes = task_of(student), cfg.get('class_names')
    pipeline, unread = Compose(reading(cfg)), 0
    for start in range(0, len(paths), BATCH):
        samples = {path: sample for path in paths[start:start + BATCH]
                   if (sample := read(pipeline, path)) is not None}
        unread += len(paths[start:start + BATCH]) - len(samples)
        if not samples:
            continue
        for path, shares in zip(samples, _probabilities(student, task, list(samples.values())), strict=True):
            found = shares.topk(min(args.top, len(shares)))
            print(f'{path}: ' + ', '.join(f'{classes[i] if classes else i} {value:.1%}' for value, i in zip(
                found.values.tolist(), found.indices.tolist(), strict=True)))
    if unread:
        raise ValueError(f'{unread} of {len(paths)} images cannot be read')


def read(pipeline: Compose, path: Path) -> dict | None:
    """An image as the pipeline makes it; None, with a word, where the file is damaged."""
    try:
        return pipeline(dict(img_path=str(path)))
    except (OSError, ValueError, AssertionError) as error:
        print(f'{path} cannot be read: {error}', file=sys.stderr)
        return None


@torch.no_grad()
def _probabilities(student: torch.nn.Module, task: Task, samples: list[dict]) -> Tensor:
    """Of each class, a row an image."""
    batch = task.collate(samples)
    logits = student(task.preprocess(student, batch, training=False)['inputs'], mode='tensor')
    if logits.ndim != 2:
        raise ValueError(f'the student has logits of shape {tuple(logits.shape[1:])} an image, and mmamd predict names '
                         'classes of whole images')
    return logits.softmax(1).cpu()


def reading(cfg: Config) -> list[dict]:
    """Transforms from a file to what a run's network sees: those of its test images.

    Raises:
        ValueError: If the run read no files.
    """
    pipeline = pipeline_of(cfg.test_dataloader) or []
    if not pipeline or not str(pipeline[0].get('type')).endswith('LoadImageFromFile'):
        raise ValueError('the test images of this run are not read from files '
                         f'({[each.get("type") for each in pipeline]}), so how to read a file is not known')
    return pipeline


def _files(names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        path = Path(name).expanduser()
        if path.is_file():
            yield path
            continue
        if not path.is_dir():
            raise FileNotFoundError(f'{name} is neither an image nor a folder')
        found = [each for each in sorted(path.rglob('*')) if each.suffix.lower() in IMAGES]
        if not found:
            raise FileNotFoundError(f'{name} holds no image; expected some of {", ".join(IMAGES)}')
        yield from found
