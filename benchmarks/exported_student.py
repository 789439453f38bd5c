"""What the exported student is worth: over the same student run by slicing, over a dense ViT of equal MACs, as ONNX.

The dense network has the teacher's depth and a narrower embedding, so that its MACs are nearest to the student's.
Target: cut out over sliced 1.00.

    python benchmarks/exported_student.py [--network ViT-S/16] [--device cuda --dtype bfloat16 --batch-size 256]
"""

import tempfile
from pathlib import Path

import networks
import torch
from side_by_side import compare, counted, parse_args, precision, report

from mmamd.export import cut_network, export_onnx
from mmamd.export.onnx import read_onnx
from mmamd.pruning.complexity import network_cost

SCALE = 0.1
ONNX_BATCHES = (1, 64)


def rows_of(name, options):
    config = networks.architecture(name)
    network = networks.build(config).eval()
    student, = (c for c in networks.random_family(network, (SCALE, 0.5)).candidates if c.scale == SCALE)
    small = cut_network(network, student).eval()
    inputs = networks.images(network, options.batch_size, options.device)

    def forward(one):
        with torch.no_grad(), precision(options):
            one(inputs, mode='tensor')

    teachers_onnx = _onnx(network)  # before it runs as the student
    small_onnx = _onnx(small)
    network.to(options.device).backbone.activate(student.kept)
    small.to(options.device)
    yield compare(f'{name}: student of {SCALE:.0%} cut out over the same by slicing', lambda: forward(small),
                  lambda: forward(network), options, target=1.0)
    if config['backbone']['type'] == 'mmamd.MaskedViT':
        dense = networks.build(networks.dense_config(config, student.cost.macs), options.device).eval()
        yield counted(f'{name}: MACs of the student over a dense ViT', student.cost.macs, network_cost(dense).macs,
                      'MACs')
        yield compare(f'{name}: student cut out over that dense ViT', lambda: forward(small), lambda: forward(dense),
                      options)
    for batch_size in ONNX_BATCHES:
        batch = networks.images(network, batch_size)
        yield compare(f'{name}: ONNX Runtime on the CPU, batch {batch_size}, student over teacher',
                      lambda batch=batch: small_onnx(batch), lambda batch=batch: teachers_onnx(batch), options)


def _onnx(network):
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(network, Path(folder) / 'model.onnx')
        return read_onnx(Path(folder) / 'model.onnx')


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=8, seconds=6, add=networks.add_names)
    report('Exported student', [row for name in options.names for row in rows_of(name, options)], options)
