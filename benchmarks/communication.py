"""What two processes exchange in one optimizer step: bytes of the joint step over those of a plain training step.

Counted by a hook on every reduction, over gloo, for one, three and nine candidates; the plain step is that of the
host's own network. Always on the CPU, in float32, of two images: the bytes do not depend on it. Target: 1.0, whatever
the number of candidates.

    python benchmarks/communication.py [--network ViT-micro]
"""

import tempfile
from datetime import timedelta
from pathlib import Path

import networks
import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F
from mmengine.registry import MODEL_WRAPPERS
from side_by_side import counted, parse_args, report
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from mmamd import compat

NUM_CANDIDATES = (1, 3, 9)
NUM_STEPS = 2  # the buckets are laid anew after the first; the second counts


def measure(rank, folder, name, options, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2,
                                         timeout=timedelta(minutes=2))
    found = {number: joint(name, number, options) for number in NUM_CANDIDATES}
    found['plain'] = plain(name, options)
    if rank == 0:
        results.put(found)
    torch.distributed.destroy_process_group()


def joint(name, number, options):
    distiller = networks.distiller(name)
    model, reduced = counting(distiller)
    loop = networks.joint_loop(model, options)
    loop.step_candidates = distiller.candidates[:number]
    return bytes_of_last(reduced, lambda: loop.step(networks.raw_batch(distiller.network, options.batch_size)))


def plain(name, options):
    config = networks.architecture(name)
    network = networks.build(networks.host_config(config))
    inputs = networks.images(networks.build(config), options.batch_size)
    model, reduced = counting(network)
    return bytes_of_last(reduced, lambda: F.cross_entropy(
        model(inputs, mode='tensor'), torch.zeros(len(inputs)).long()).backward())


def counting(module):
    """The module for two processes, and a list that grows by the bytes of each reduction."""
    model = MODEL_WRAPPERS.build({**compat.model_wrapper_cfg(), 'device_ids': None, 'module': module})  # on the CPU
    reduced = []

    def count(_state, bucket):
        reduced.append(bucket.buffer().numel() * bucket.buffer().element_size())
        return allreduce_hook(None, bucket)

    model.register_comm_hook(None, count)
    return model, reduced


def bytes_of_last(reduced, step):
    for _ in range(NUM_STEPS):
        reduced.clear()
        step()
    return sum(reduced)


def rows_of(name, options):
    results = torch.multiprocessing.get_context('spawn').SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(measure, (Path(folder), name, options, results), nprocs=2)
    found = results.get()
    for number in NUM_CANDIDATES:
        yield counted(f'{name}: bytes reduced by a joint step of {number} over a plain step', found[number],
                      found['plain'], 'bytes', target=1.0)


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=2, seconds=0, add=networks.add_names)
    options.device, options.dtype, options.batch_size = 'cpu', 'float32', 2
    report('Communication', [row for name in options.names for row in rows_of(name, options)], options)
