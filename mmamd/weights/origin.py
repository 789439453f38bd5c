"""What a checkpoint says of the network it is of: the config and the classes that the host notes beside the weights."""

from dataclasses import dataclass
from typing import Any

from mmamd.files.config_text import read_config_text
from mmamd.weights.sources import fetch, split_timm


@dataclass(frozen=True)
class Origin:
    """What is known of how weights came to be; None where the checkpoint does not tell.

    Attributes:
        architecture: Config of the network.
        preprocessor: Of its images: ``mean`` and ``std`` over 0 to 255, ``to_rgb``.
        classes: Names of its classes, in the order of its logits.
        train_pipeline, test_pipeline: Transforms of its images.
    """

    architecture: dict | None = None
    preprocessor: dict | None = None
    classes: tuple[str, ...] | None = None
    train_pipeline: list | None = None
    test_pipeline: list | None = None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) of its images: of its backbone's, as they are padded, or as its test pipeline makes them."""
        size = ((self.architecture or {}).get('backbone') or {}).get('img_size')
        padded = (self.preprocessor or {}).get('size')
        return size_of(size) or size_of(padded) or pipeline_size(self.test_pipeline)


def read_origin(source: str) -> Origin:
    """What a source of weights says of itself; of timm's weights nothing here.

    Raises what :func:`mmamd.weights.sources.fetch` raises.
    """
    if split_timm(source) is not None:
        return Origin()
    meta = fetch(source).get('meta')
    return origin_of(meta) if isinstance(meta, dict) else Origin()


def origin_of(meta: dict) -> Origin:
    """The same of a checkpoint's ``meta``, whose config is text and is not executed."""
    try:
        cfg = read_config_text(meta['cfg']) if isinstance(meta.get('cfg'), str) else {}
    except ValueError:
        cfg = {}
    classes = (meta.get('dataset_meta') or {}).get('classes') or meta.get('CLASSES')
    known = origin_of_config(cfg)
    is_list = isinstance(classes, (list, tuple)) and all(isinstance(name, str) for name in classes)
    return Origin(known.architecture, known.preprocessor, tuple(classes) if is_list else None, known.train_pipeline,
                  known.test_pipeline)


def origin_of_config(cfg: dict) -> Origin:
    """The same of a config of a plain network, or of a run that compresses one."""
    model = cfg.get('model')
    model = model.get('architecture', model) if isinstance(model, dict) else {}
    if not isinstance(model, dict) or not isinstance(model.get('backbone'), dict):
        return Origin()
    preprocessor = model.get('data_preprocessor') or cfg.get('data_preprocessor')
    pipelines = (_pipeline(cfg.get(f'{split}_dataloader')) for split in ('train', 'test'))
    return Origin(model, preprocessor if isinstance(preprocessor, dict) else None, None, *pipelines)


def _pipeline(loader: Any) -> list | None:
    dataset = loader.get('dataset') if isinstance(loader, dict) else None
    while isinstance(dataset, dict) and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    pipeline = dataset.get('pipeline') if isinstance(dataset, dict) else None
    return list(pipeline) if isinstance(pipeline, (list, tuple)) and all(
        isinstance(each, dict) for each in pipeline) else None


def pipeline_size(pipeline: list | None) -> tuple[int, int] | None:
    """(height, width) that the last transform of a pipeline that says so makes images to; None where sizes differ."""
    for transform in reversed(pipeline or []):
        name = str(transform.get('type')).rpartition('.')[2]
        if name in ('CenterCrop', 'RandomCrop', 'EfficientNetCenterCrop'):
            return size_of(transform.get('crop_size'))
        if name == 'RandomResizedCrop':  # of the host's transforms the one that says the height first
            return size_of(transform.get('scale'))
        if name == 'Resize' and not transform.get('keep_ratio'):
            width_height = size_of(transform.get('scale'))
            return width_height and width_height[::-1]
        if name in ('Resize', 'RandomResize'):
            return None
    return None


def size_of(value: Any) -> tuple[int, int] | None:
    """(height, width) of a number, or of two; None of anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(each, int) for each in value):
        return tuple(value)
    return None
