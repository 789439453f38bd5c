"""Names of the classes of a run, and where they are written in what leaves it."""

from mmengine.config import Config

from mmamd.files.run_config import encode
from mmamd.pipeline.context import Context


def class_names(context: Context) -> list[str] | None:
    """Names of the classes: the config's, or those of the test images; None where nothing tells them.

    Raises:
        ValueError: If the config's are not one for each output of the head, or cannot be written.
    """
    given, outputs = context.cfg.get('class_names'), context.task.num_classes(context.network)
    if given and outputs is not None and len(given) != outputs:
        raise ValueError(f'class_names must be one name for each of the {outputs} outputs of the head, got '
                         f'{len(given)}; leave it out for the names of the data set')
    names = list(given) if given else context.task.class_names(context.dataset('test'))
    encode(names, 'class_names')  # refuses what could not be written
    return names


def checkpoint_meta(context: Context) -> dict:
    """What the host's readers look for in a checkpoint beside the weights."""
    meta, names = context.task.meta(context.dataset('test')), class_names(context)
    return meta if names is None else {**meta, 'dataset_meta': {**meta.get('dataset_meta', {}), 'classes': names}}


def with_class_names(context: Context, cfg: Config) -> Config:
    """A copy of a config of the run that knows the names of the classes, for what leaves the run."""
    names = class_names(context)
    return Config({**cfg.to_dict(), **({'class_names': names} if names else {})})
