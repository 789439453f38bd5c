"""The joint step near its floor: nine candidates and the teacher over the same networks on their own.

The floor is one forward pass of the teacher, and forward pass, losses and backward pass of each candidate cut out as a
network of its own. Over it the joint step pays for slices, gradients that are added up, and the optimizer.
Targets: time 1.10; memory 1.15 of a distillation step of the 0.9 candidate alone.

    python benchmarks/joint_step.py [--network ViT-S/16 Swin-T] [--device cuda --dtype bfloat16 --batch-size 256]
"""

import networks
import torch.nn.functional as F
from side_by_side import compare, counted, parse_args, peak_bytes, precision, report

from mmamd.distillation.losses.feature import feature_loss, resolve_layers
from mmamd.distillation.losses.logit import logit_loss
from mmamd.export import cut_network

MEMORY_BATCH = 8  # on a CPU memory, which is read once, is that of so many times the batch


def rows_of(name, options):
    distiller = networks.distiller(name, device=options.device)
    network = distiller.network
    loop = networks.joint_loop(distiller, options)
    batch = networks.raw_batch(network, options.batch_size, options.device)
    inputs = networks.images(network, options.batch_size, options.device)
    labels = inputs.new_zeros(len(inputs)).long()

    layers = resolve_layers('auto', len(network.backbone.hidden_state_modules) - 1)
    alone = [AloneNetwork(cut_network(network, candidate).train(), layers) for candidate in distiller.candidates]

    def joint(candidates):
        loop.step_candidates = candidates
        loop.step(batch)

    def apart():
        with precision(options):
            targets, = distiller.teach(inputs, [])
        for own in alone:
            with precision(options):
                loss = own.loss(inputs, labels, targets)
            loss.backward()
            own.network.zero_grad()

    everyone = distiller.candidates
    yield compare(f'{name}: joint step of nine over teacher + the nine alone', lambda: joint(everyone), apart, options,
                  target=1.10)
    del alone[:]
    # Of a batch of a usual size: gradients, which do not grow with it, are held while all but the first are trained.
    size = options.batch_size * (MEMORY_BATCH if options.device == 'cpu' else 1)
    batch = networks.raw_batch(network, size, options.device)
    peaks = [peak_bytes(lambda which=which: joint(which), options.device) for which in (everyone, everyone[-1:])]
    yield counted(f'{name}: peak memory of it over the 0.9 candidate alone, batch {size}', *peaks, 'bytes', target=1.15)


class AloneNetwork:
    """A candidate cut out, with the losses of the distiller written out."""

    def __init__(self, network, layers):
        self.network = network
        self.states = {}
        modules = network.backbone.hidden_state_modules
        for i in layers:
            modules[i].register_forward_hook(lambda _module, _args, output, i=i: self.states.update({i: output}))

    def loss(self, inputs, labels, targets):
        logits = self.network(inputs, mode='tensor')
        states = [self.states[i] for i in sorted(self.states)]
        self.states.clear()
        return (F.cross_entropy(logits.float(), labels) + logit_loss(logits, targets.logits)
                + feature_loss(states, list(targets.states.values())))


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=2, seconds=10, add=networks.add_names)
    report('Joint step', [row for name in options.names for row in rows_of(name, options)], options)
