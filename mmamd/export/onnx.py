"""ONNX form of a model, with a dynamic batch, checked against ONNX Runtime."""

import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn

TOLERANCE = 1e-5  # of the largest absolute logit


def export_onnx(network: nn.Module, path: Path) -> float:
    """Write ``network`` (images -> logits) and compare it with ONNX Runtime at batch 1 and 3.

    Args:
        network: A host network with an elastic backbone, on the CPU, in eval mode.
        path: File to write. Input ``images`` (batch, channels, H, W), preprocessed; output ``logits``.

    Returns:
        Largest difference over the largest absolute logit.

    Raises:
        RuntimeError: If ONNX Runtime computes another function.
    """
    shape = network.backbone.input_shape
    wrapper = _Logits(network).eval()
    example = torch.zeros(2, *shape)
    with warnings.catch_warnings(), torch.no_grad():
        # The host compares shapes in Python, which the exporter warns about; the image size is fixed on purpose.
        warnings.simplefilter('ignore')
        torch.onnx.export(wrapper, (example,), str(path), input_names=['images'], output_names=['logits'],
                          dynamic_axes={'images': {0: 'batch'}, 'logits': {0: 'batch'}}, opset_version=17,
                          dynamo=False)
    difference = max(_difference(wrapper, path, batch) for batch in (1, 3))
    if not difference <= TOLERANCE:
        raise RuntimeError(f'{path} differs from the network by {difference:.1e} of the largest logit, expected at '
                           f'most {TOLERANCE}; do not deploy it')
    return difference


class _Logits(nn.Module):
    """A host network as the plain function from images to logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images, mode='tensor')


def _difference(wrapper: nn.Module, path: Path, batch: int) -> float:
    import onnxruntime
    images = torch.randn(batch, *wrapper.network.backbone.input_shape, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    exported, = session.run(None, {'images': images.numpy()})
    with torch.no_grad():
        own = wrapper(images).numpy()
    return float(np.abs(exported - own).max() / np.abs(own).max())
