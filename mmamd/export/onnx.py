"""ONNX form of a model, with a dynamic batch, checked against ONNX Runtime."""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from mmamd.export.adaptive_pooling import pooled_at_any_size, pooled_by_matrices
from mmamd.export.logits import Function, Logits, check_difference, draw_images, largest_difference
from mmamd.export.preprocessing import FromPixels

OTHER_SIZES = (0.9, 1.6)  # shares of a side, at which a graph for images of any size is compared
# What a program does with a graph that needs neither torch nor mmamd; a copy lies beside each.
PREDICT = Path(__file__).with_name('predict.py')


def export_onnx(network: nn.Module, path: Path, metadata: dict[str, str] | None = None,
                input_shape: tuple[int, int, int] | None = None, *, any_size: bool = False) -> float:
    """Write ``network`` (images -> logits) and compare it with ONNX Runtime at batch 1 and 3.

    Args:
        network: A host network, on the CPU, in eval mode.
        path: File to write. Input ``images`` (batch, channels, H, W), preprocessed; output ``logits``.
        metadata: Written into the file's ``metadata_props``; :func:`mmamd.export.describe` makes it. With an entry
            ``layout``, ``'nhwc'`` or ``'nchw'``, the graph takes pixels in that layout, uint8, RGB or grey, of the
            input's size, and normalises them itself, as the entry ``preprocessing`` says.
        input_shape: (channels, height, width) of an image; an elastic backbone knows it.
        any_size: Whether height and width of the images are open as well as their number, which is compared with
            larger and smaller images too.

    Returns:
        Largest difference over the largest absolute logit.

    Raises:
        RuntimeError: If ONNX Runtime computes another function.
    """
    shape, metadata = input_shape or network.backbone.input_shape, metadata or {}
    module = wrapper = Logits(network).eval()
    example = images = torch.zeros(2, *shape)
    if 'layout' in metadata:
        module = _from_pixels(metadata, wrapper).eval()
        example = module.pixels_of(example)
    pooled = pooled_at_any_size(wrapper) if any_size else pooled_by_matrices(wrapper, images)
    axes = {0: 'batch', **({2: 'height', 3: 'width'} if any_size else {})}
    with warnings.catch_warnings(), torch.no_grad(), pooled:
        # The host compares shapes in Python, which the exporter warns about.
        warnings.simplefilter('ignore')
        # torch calls this exporter, dynamo=False, deprecated. The other one needs one more package, onnxscript, while
        # this one is held to what matters here: the function, at every batch, also of branches without units.
        # The network passes torch.export as it is (torch_export.py), so when torch drops this exporter, what changes
        # is this call and one dependency.
        torch.onnx.export(module, (example,), str(path), input_names=['images'], output_names=['logits'],
                          dynamic_axes={'images': axes, 'logits': axes if any_size else {0: 'batch'}},
                          opset_version=17, dynamo=False)
    add_metadata(path, metadata)
    function, (channels, *size) = read_onnx(path), shape
    shapes = [shape, *((channels, *(round(share * side) for side in size)) for share in OTHER_SIZES * any_size)]
    difference = max(largest_difference(function, wrapper, each, drawn_for(metadata)) for each in shapes)
    check_difference(difference, path)
    return difference


def open_onnx(path: Path, threads: int | None = None, provider: str = 'CPUExecutionProvider') -> Any:
    """A session of ONNX Runtime; ``threads`` compute one call, all cores by default."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    return onnxruntime.InferenceSession(str(path), options, providers=[provider])


def read_onnx(path: Path) -> Function:
    """The function of an ONNX file from preprocessed images to logits, run by ONNX Runtime on the CPU.

    A graph that takes pixels is given those that the images are of.
    """
    session = open_onnx(path)
    prepare = _input_of(session)

    def logits_of(images: Tensor) -> Tensor:
        logits, = session.run(None, prepare(images))
        return torch.from_numpy(logits)

    return logits_of


def inputs_of(path: Path, batches: Iterable[Tensor]) -> Iterator[dict]:
    """What a session of an ONNX file takes for batches of preprocessed images."""
    return map(_input_of(open_onnx(path)), batches)


def drawn_for(metadata: dict[str, str]) -> Callable[[int, tuple[int, int, int]], Tensor]:
    """Function that draws preprocessed images for a graph: any, or those that pixels can be."""
    if 'layout' not in metadata:
        return draw_images
    module = _from_pixels(metadata)
    return lambda num, shape: module.images_of(module.pixels_of(draw_images(num, shape)))


def add_metadata(path: Path, metadata: dict[str, str]) -> None:
    """Write entries into an ONNX file, beside those that it has."""
    import onnx
    model = onnx.load(str(path))
    entries = {entry.key: entry.value for entry in model.metadata_props} | metadata
    del model.metadata_props[:]
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))


def _input_of(session: Any) -> Callable[[Tensor], dict]:
    metadata = session.get_modelmeta().custom_metadata_map
    pixels_of = _from_pixels(metadata).pixels_of if 'layout' in metadata else lambda images: images
    return lambda images: {'images': pixels_of(images).numpy()}


def _from_pixels(metadata: dict[str, str], network: nn.Module | None = None) -> FromPixels:
    return FromPixels(network, json.loads(metadata['preprocessing']), metadata['layout'])
