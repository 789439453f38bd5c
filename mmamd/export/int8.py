"""INT8 form of a model: weights and activations of convolutions and matrix products as integers of eight bits."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from mmamd.export.onnx import inputs_of

QUANTISED = ['Conv', 'Gemm', 'MatMul']  # nearly all of the arithmetic; norms and softmax stay in float32


def quantise(path: Path, out: Path, calibration: Iterable[Tensor] | None) -> None:
    """Write an ONNX graph with integers in place of floats, by ONNX Runtime.

    Weights have one range a channel. Those of activations are the largest and the smallest values that calibration
    images leave (static), or are found anew in each call (dynamic), which takes no images and some time.

    Args:
        path: The float graph, of :func:`mmamd.export.export_onnx`.
        out: File to write, of the same input and output.
        calibration: Batches of preprocessed images; None for dynamic ranges.
    """
    from onnxruntime.quantization import quant_pre_process, quantize_dynamic, quantize_static
    with tempfile.TemporaryDirectory() as folder, _quiet():
        ready = Path(folder) / 'ready.onnx'
        quant_pre_process(str(path), str(ready))
        if calibration is None:
            quantize_dynamic(str(ready), str(out), op_types_to_quantize=QUANTISED, per_channel=True)
        else:
            quantize_static(str(ready), str(out), _reader(path, calibration), op_types_to_quantize=QUANTISED,
                            per_channel=True)


def _reader(path: Path, calibration: Iterable[Tensor]):
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        batches: Iterator[dict] = inputs_of(path, calibration)

        def get_next(self) -> dict | None:
            return next(self.batches, None)

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's advice to prepare the graph, which has been done."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
