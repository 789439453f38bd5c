"""What the networks of a run say about a few test images, for the report of the run."""

import copy
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn as nn
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from PIL import Image
from torch import Tensor

from mmamd.pipeline.context import Context
from mmamd.tasks import Task
from mmamd.visualization.examples_plot import Example, Examples, Prediction
from mmamd.weights.networks import load_network

NUM_EXAMPLES = 12
LONGEST_SIDE = 128  # pixels of a stored image: enough to know it by, small enough to be part of the report


def write_examples(context: Context, shown: dict[str, str]) -> None:
    """Predict some test images by some networks of a run: ``export/examples.json``, ``export/examples/*.png``.

    Where the predictions are no class scores, the file says so and holds no examples. To be called by one rank alone.

    Args:
        context: The run.
        shown: Name -> reference of each network.
    """
    folder = context.work_dir / 'export'
    networks = ((name, load_network(context.work_dir, reference)) for name, reference in shown.items())
    predict_examples(context.dataset('test'), networks, folder, context.task,
                     context.class_names).save(folder / 'examples.json')


def predict_examples(dataset, networks: Iterator[tuple[str, nn.Module]], folder: Path, task: Task,
                     names: list[str] | None) -> Examples:
    """Predictions of the networks, each a pair of name and network, for images spread evenly over the classes.

    The images are those of the test pipeline before normalisation; they are saved below ``folder``.
    """
    found: list[Example] = []
    for name, network in networks:
        network = network.to(get_device()).eval()
        if not found:
            batch = [dataset[i] for i in spread_indices(task.classes_of(dataset))]
            reason = task.why_not_shown(batch, _predict(network, batch[:1])[0]) or _why_no_picture(batch[0])
            if reason is not None:
                return Examples([], skipped=reason)
            found = [_saved(i, item, task.label_of(item), network.data_preprocessor.to_rgb, folder)
                     for i, item in enumerate(batch)]
        for example, sample in zip(found, _predict(network, batch), strict=True):
            label, score = task.prediction_of(sample)
            example.predictions[name] = Prediction(label, round(score, 4))
    return Examples(found, names)


def spread_indices(labels: list[int], num: int = NUM_EXAMPLES) -> list[int]:
    """At most ``num`` indices, evenly spread over the images sorted by class; all, when there are fewer."""
    by_class = sorted(range(len(labels)), key=lambda i: labels[i])
    num = min(num, len(labels))
    return [by_class[(2 * i + 1) * len(labels) // (2 * num)] for i in range(num)]


@torch.no_grad()
def _predict(network: nn.Module, batch: list[dict]) -> list:
    # Copied, because a preprocessor that mixes images in training writes scores into the samples it is given.
    return network.test_step(pseudo_collate(copy.deepcopy(batch)))


def _why_no_picture(item: dict) -> str | None:
    """Why an image cannot be drawn; None if it can."""
    image = item['inputs']
    if image.dtype == torch.uint8 and image.shape[0] in (1, 3):
        return None
    return (f'the test pipeline gives {image.dtype} images of shape {tuple(image.shape)}; those of 8 bits with 1 or 3 '
            'channels can be shown')


def _saved(number: int, item: dict, label: int, is_bgr: bool, folder: Path) -> Example:
    path = Path('examples') / f'{number:02d}.png'
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    image = as_picture(item['inputs'], is_bgr)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)  # never enlarges
    image.save(folder / path)
    return Example(str(path), label, {})


def as_picture(image: Tensor, is_bgr: bool) -> Image.Image:
    """The image of (channels, height, width) of 8 bits."""
    if len(image) == 1:
        return Image.fromarray(image[0].numpy())
    return Image.fromarray((image.flip(0) if is_bgr else image).permute(1, 2, 0).contiguous().numpy())
