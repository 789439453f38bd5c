"""What the networks of a run say of the pixels of a few test images, for the report of the run."""

import copy
from pathlib import Path

import torch
from mmengine.device import get_device
from PIL import Image

from mmamd.distillation.renormalisation import normalisation
from mmamd.pipeline.context import Context
from mmamd.pipeline.examples import as_picture, spread_indices
from mmamd.visualization.scenes_plot import Scenes
from mmamd.weights.networks import load_network

NUM_SCENES = 6
LONGEST_SIDE = 320  # pixels of a stored picture


@torch.no_grad()
def write_scenes(context: Context, shown: dict[str, str]) -> None:
    """Predict some test images by some networks: ``export/scenes.json``, ``export/scenes/*.png``.

    Nothing is written for a task whose networks do not say of which class each pixel is. To be called by one rank.

    Args:
        context: The run.
        shown: Name -> reference of each network.
    """
    dataset, task = context.dataset('test'), context.task
    palette = task.palette(dataset)
    if palette is None:
        return
    folder = context.work_dir / 'export'
    items = [dataset[i] for i in spread_indices([0] * len(dataset), NUM_SCENES)]
    *_, is_bgr = normalisation(context.network.data_preprocessor)
    columns = {'image': [as_picture(item['inputs'], is_bgr) for item in items],
               'truth': [task.picture(item['data_samples'], palette, is_said=False) for item in items]}
    for name, reference in shown.items():
        network = load_network(context.work_dir, reference).to(get_device())
        # One at a time: they may differ in size.
        said = [network.test_step(task.collate([copy.deepcopy(item)]))[0] for item in items]
        columns[name] = [task.picture(sample, palette, is_said=True) for sample in said]
    Scenes({name: _saved(name, pictures, folder) for name, pictures in columns.items()}, context.class_names,
           palette).save(folder / 'scenes.json')


def _saved(name: str, pictures: list[Image.Image], folder: Path) -> list[str]:
    files = [f'scenes/{i}_{name}.png' for i in range(len(pictures))]
    (folder / 'scenes').mkdir(exist_ok=True)
    for file, picture in zip(files, pictures, strict=True):
        # Labels are of classes, between which there is nothing to blend.
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS if name == 'image' else
                          Image.Resampling.NEAREST)
        picture.save(folder / file)
    return files
