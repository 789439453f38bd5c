"""Folders of tiny images for tests: a CustomDataset, and a config that reads it."""

import mmcv
import numpy as np
from mmengine.config import ConfigDict


def image_folder(root, split='train', num=10, classes=10):
    """``<split>/c<label>/<number>.png`` and ``<split>.txt``; the images differ. Returns their paths."""
    paths, lines = [], []
    for i in range(num):
        name = f'c{i % classes}/{i}.png'
        paths.append(root / split / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        mmcv.imwrite(np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8), str(paths[-1]))
        lines.append(f'{name} {i % classes}\n')
    (root / f'{split}.txt').write_text(''.join(lines))
    return paths


def dataset_of(root, split='train', prefix=None):
    """Config of the data set that reads such a folder."""
    return ConfigDict(type='CustomDataset', data_root=str(root), data_prefix=prefix or split, ann_file=f'{split}.txt',
                      pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
