"""ONNX form of a model, with a dynamic batch, checked against ONNX Runtime."""

import warnings
from pathlib import Path

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.export.adaptive_pooling import pooled_by_matrices
from mmamd.export.logits import Function, Logits, check_difference, largest_difference


def export_onnx(network: nn.Module, path: Path, metadata: dict[str, str] | None = None,
                input_shape: tuple[int, int, int] | None = None) -> float:
    """Write ``network`` (images -> logits) and compare it with ONNX Runtime at batch 1 and 3.

    Args:
        network: A host network, on the CPU, in eval mode.
        path: File to write. Input ``images`` (batch, channels, H, W), preprocessed; output ``logits``.
        metadata: Written into the file's ``metadata_props``.
        input_shape: (channels, height, width) of an image; an elastic backbone knows it.

    Returns:
        Largest difference over the largest absolute logit.

    Raises:
        RuntimeError: If ONNX Runtime computes another function.
    """
    shape = input_shape or network.backbone.input_shape
    wrapper = Logits(network).eval()
    example = torch.zeros(2, *shape)
    with warnings.catch_warnings(), torch.no_grad(), pooled_by_matrices(wrapper, example):
        # The host compares shapes in Python, which the exporter warns about; the image size is fixed on purpose.
        warnings.simplefilter('ignore')
        # torch calls this exporter, dynamo=False, deprecated. The other one needs one more package, onnxscript, while
        # this one is held to what matters here: the function, at every batch, also of branches without units.
        # The network passes torch.export as it is (torch_export.py), so when torch drops this exporter, what changes
        # is this call and one dependency.
        torch.onnx.export(wrapper, (example,), str(path), input_names=['images'], output_names=['logits'],
                          dynamic_axes={'images': {0: 'batch'}, 'logits': {0: 'batch'}}, opset_version=17,
                          dynamo=False)
    if metadata:
        _write_metadata(path, metadata)
    difference = largest_difference(read_onnx(path), wrapper, shape)
    check_difference(difference, path)
    return difference


def read_onnx(path: Path) -> Function:
    """The function of an ONNX file, run by ONNX Runtime on the CPU."""
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])

    def logits_of(images: Tensor) -> Tensor:
        logits, = session.run(None, {'images': images.numpy()})
        return torch.from_numpy(logits)

    return logits_of


def _write_metadata(path: Path, metadata: dict[str, str]) -> None:
    import onnx
    model = onnx.load(str(path))
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
