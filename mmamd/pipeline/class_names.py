"""Names of the classes of a run, and where they are written in what leaves it."""

from collections.abc import Sequence

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmamd.files.run_config import encode
from mmamd.tasks import Task


def find_class_names(given: Sequence[str] | None, num_outputs: int | None, dataset: BaseDataset,
                     task: Task) -> list[str] | None:
    """Names of the classes: those of a config, or of a data set; None where nothing tells them.

    Args:
        given: Of the config.
        num_outputs: Of the head; None where nothing tells it.
        dataset: Whose images may have to be walked over.
        task: What the run does.

    Raises:
        ValueError: If the config's are not one for each output of the head, or cannot be written.
    """
    if given and num_outputs is not None and len(given) != num_outputs:
        raise ValueError(f'class_names must be one name for each of the {num_outputs} outputs of the head, got '
                         f'{len(given)}; leave it out for the names of the data set')
    names = list(given) if given else task.class_names(dataset)
    encode(names, 'class_names')  # refuses what could not be written
    return names


def with_dataset_meta(meta: dict, names: Sequence[str] | None) -> dict:
    """What the host's readers look for in a checkpoint beside the weights, with the names of the classes."""
    return meta if names is None else {**meta, 'dataset_meta': {**meta.get('dataset_meta', {}), 'classes': names}}


def with_class_names(cfg: Config, names: Sequence[str] | None) -> Config:
    """A copy of a config of the run that knows the names of the classes, for what leaves the run."""
    return Config({**cfg.to_dict(), **({'class_names': names} if names else {})})
