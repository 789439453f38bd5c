"""A model as the graph of torch.export, with a dynamic batch: a file that needs torch alone."""

import warnings
from pathlib import Path

import torch
import torch.nn as nn

from mmamd.export.logits import Function, Logits


def export_torch(network: nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write ``network`` (images -> logits) as an exported program, to be read by ``torch.export.load``.

    Args:
        network: A host network with an elastic backbone, on the CPU, in eval mode.
        path: File to write, ``.pt2``. Its one input is preprocessed images (batch, channels, H, W).
        metadata: Each entry becomes an extra file of the archive.
    """
    batch = torch.export.Dim('batch', min=1, max=2**31 - 1)  # torch 2.6 wants a bound that int64 has room above
    # Two images: torch.export takes a batch of 1 for a constant.
    example = torch.zeros(2, *network.backbone.input_shape)
    with torch.no_grad():
        # Not strict, the default from torch 2.7 on: the strict tracer of 2.6 cannot pass the host's stochastic depth.
        program = torch.export.export(Logits(network).eval(), (example,), dynamic_shapes=({0: batch},), strict=False)
    # Neither the example images nor the places in this machine's source files belong to the model.
    program._example_inputs = None  # the property of torch 2.6 takes no None
    for node in program.graph.nodes:
        node.meta.pop('stack_trace', None)
    torch.export.save(program, path, extra_files=metadata)


def read_torch(path: Path) -> Function:
    """The function of an exported program."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='The given buffer is not writable')  # torch about itself
        return torch.export.load(path).module()
