"""How a picture becomes a network's input: as plain data, and as the part of a graph that normalises.

Shapes: N images, C channels, H height, W width.
"""

import torch
import torch.nn as nn
from mmengine.config import Config
from torch import Tensor

from mmamd.channel_order import sees_rgb

LAYOUTS = ('nhwc', 'nchw')  # of pixels in front of a graph
_SILENT = ('LoadImageFromFile', 'LoadAnnotations', 'PackInputs', 'PackSegInputs')  # transforms that change no pixel


def preprocessing_of(config: Config, input_shape: tuple[int, int, int]) -> dict:
    """What a program without the host must know to prepare a picture, as plain values.

    Keys: ``channels`` (``'RGB'``, ``'BGR'`` or ``'L'``, grey); ``mean`` and ``std``, one a channel in that order, over
    values of 0 to 255; ``steps``, what resizes and crops the picture: ``['short edge', pixels, resampling]``,
    ``['size', [width, height], resampling]`` or ``['crop', [width, height]]`` of the centre; ``others``, transforms of
    the test pipeline that these cannot say. Pictures of any size end in that of the input.

    Args:
        config: The student's config, with its preprocessor and its test pipeline.
        input_shape: (channels, height, width) of one input.
    """
    num_channels, height, width = input_shape
    preprocessor = config.model.get('data_preprocessor') or config.get('data_preprocessor') or {}
    pipeline = _pipeline_of(config)
    found = [(_step(transform), transform) for transform in pipeline if _name(transform) not in _SILENT]
    steps = [step for step, _ in found if step is not None]
    if not steps or steps[-1][0] == 'short edge' or list(steps[-1][1]) != [width, height]:
        steps.append(['size', [width, height], 'bilinear'])
    is_rgb = sees_rgb(preprocessor, pipeline)
    return {'channels': 'L' if num_channels == 1 else 'RGB' if is_rgb else 'BGR',
            'mean': list(preprocessor.get('mean') or [0.] * num_channels),
            'std': list(preprocessor.get('std') or [1.] * num_channels), 'steps': steps,
            'others': [_name(transform) for step, transform in found if step is None]}


def _pipeline_of(config: Config) -> list[dict]:
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    while dataset.get('pipeline') is None and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    return list(dataset.get('pipeline') or [])


def _name(transform: dict) -> str:
    return str(transform['type']).rpartition('.')[2]


def _step(transform: dict) -> list | None:
    """A transform of the host as a step; None for one that is none of them."""
    options = {key: value for key, value in transform.items() if key not in ('type', 'backend')}
    resampling = options.pop('interpolation', 'bilinear')
    resampling = {'area': 'box'}.get(resampling, resampling)  # Pillow's name for it
    size = {key: _pair(options[key]) for key in ('scale', 'crop_size') if options.get(key)}
    match _name(transform), sorted(options):
        case 'ResizeEdge', ['scale'] | ['edge', 'scale'] if options.get('edge', 'short') == 'short':
            return ['short edge', options['scale'], resampling]
        case 'Resize', ['scale'] | ['keep_ratio', 'scale'] if not options.get('keep_ratio'):
            return ['size', size['scale'], resampling]
        case 'CenterCrop', ['crop_size']:
            return ['crop', size['crop_size']]
    return None


def _pair(size: int | tuple[int, int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


class FromPixels(nn.Module):
    """A network that takes pixels, uint8, RGB or grey, shape (N, H, W, C) or (N, C, H, W), and normalises them itself.

    Args:
        network: Module from normalised images to logits.
        how: From :func:`preprocessing_of`.
        layout: ``'nhwc'`` or ``'nchw'``.
    """

    def __init__(self, network: nn.Module, how: dict, layout: str) -> None:
        super().__init__()
        self.network, self.layout, self.is_bgr = network, layout, how['channels'] == 'BGR'
        for name in ('mean', 'std'):
            self.register_buffer(name, torch.tensor(how[name]).view(-1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(self.images_of(pixels))

    def images_of(self, pixels: Tensor) -> Tensor:
        """Normalised images (N, C, H, W)."""
        images = (pixels.permute(0, 3, 1, 2) if self.layout == 'nhwc' else pixels).float()
        return ((images.flip(1) if self.is_bgr else images) - self.mean) / self.std

    def pixels_of(self, images: Tensor) -> Tensor:
        """The pixels that normalised images are of: what :meth:`images_of` takes back."""
        pixels = (images * self.std + self.mean).round().clamp(0, 255).to(torch.uint8)
        pixels = pixels.flip(1) if self.is_bgr else pixels
        return pixels.permute(0, 2, 3, 1).contiguous() if self.layout == 'nhwc' else pixels.contiguous()
