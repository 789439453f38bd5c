"""Values of a stage that are known by something else than their text: weights, images, loaders."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mmamd.pipeline.images.overlap import Keys
from mmamd.pipeline.plain import file_digest, plain
from mmamd.weights.sources import local_file


@dataclass(frozen=True)
class Weights:
    """Weights of the user's, known by their content, so that the file may move; a URL or a zoo's key by its name."""

    source: str

    def identity(self) -> str:
        file = local_file(self.source)
        return self.source if file is None else file_digest(file)


@dataclass(frozen=True)
class Images:
    """Images of a split, known by their names and labels, so that they may move.

    Attributes:
        split: ``'train'``, ``'val'`` or ``'test'``.
        num: How many.
        digest: Of names, labels and in-memory pixels.
        keys: What each is known by, whatever its label; None where the data set does not tell.
    """

    split: str
    num: int
    digest: str
    keys: Keys | None = field(default=None, compare=False, repr=False)

    def identity(self) -> list:
        return [self.num, self.digest]


@dataclass(frozen=True)
class Loader:
    """Settings of a data loader, known without what its batches do not depend on."""

    settings: dict

    @property
    def is_stream(self) -> bool:
        """Whether an epoch is of so many steps, and goes on in the pass over the images where the last one ended."""
        return (self.settings.get('sampler') or {}).get('type') == 'mmamd.StreamSampler'

    def identity(self) -> dict:
        loader = plain(self.settings)
        for key in ('pin_memory', 'persistent_workers', 'prefetch_factor'):
            loader.pop(key, None)
        for leaf in leaf_datasets(loader.get('dataset')):
            leaf.pop('data_root', None)
        return loader


def leaf_datasets(dataset: dict | None) -> Iterator[dict]:
    """Configs of the data sets that read files, below any wrappers."""
    if dataset is None:
        return
    if 'dataset' in dataset:
        yield from leaf_datasets(dataset['dataset'])
    elif 'datasets' in dataset:
        for inner in dataset['datasets']:
            yield from leaf_datasets(inner)
    else:
        yield dataset


def pipeline_of(loader: dict) -> list[dict] | None:
    """The transforms of a loader's images."""
    return plain(next(leaf_datasets(loader['dataset'])).get('pipeline'))


def with_test_pipeline(train_dataset: dict, test_dataset: dict) -> dict:
    """The training data set read through the test pipeline: the images of training without augmentation."""
    dataset = copy.deepcopy(train_dataset)
    pipeline = next(leaf_datasets(test_dataset))['pipeline']
    for leaf in leaf_datasets(dataset):
        leaf['pipeline'] = copy.deepcopy(pipeline)
    return dataset


def fill_data_root(cfg: Any) -> None:
    """Give the config's one ``data_root`` to every data set that names none, in place.

    So ``--cfg-options data_root=...`` moves all of them. Data sets of a wrapper are filled, the wrapper is not.
    """
    root = cfg.get('data_root')
    if root is None:
        return
    for split in ('train', 'val', 'test'):
        for dataset in leaf_datasets((cfg.get(f'{split}_dataloader') or {}).get('dataset')):
            dataset.setdefault('data_root', root)
