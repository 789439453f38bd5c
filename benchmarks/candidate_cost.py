"""What a candidate costs: forward and backward pass at scale s over those of the full network.

By arithmetic it is the candidate's measured share of the MACs; what norms, residuals and slices add is on top.
Target: that share + 0.10 for a ViT, + 0.15 for a Swin.

    python benchmarks/candidate_cost.py [--network ViT-S/16 Swin-T] [--device cuda --dtype bfloat16 --batch-size 256]
"""

import networks
import torch.nn.functional as F
from side_by_side import compare, parse_args, precision, report

SCALES = (0.1, 0.5, 0.9)
MARGIN = {'mmamd.MaskedViT': 0.10, 'mmamd.MaskedSwin': 0.15}


def rows_of(name, options):
    config = networks.architecture(name)
    network = networks.build(config, options.device)
    family = networks.random_family(network, SCALES)
    inputs = networks.images(network, options.batch_size, options.device)
    labels = inputs.new_zeros(len(inputs)).long()

    def step(kept):
        network.backbone.activate(kept)
        with precision(options):
            loss = F.cross_entropy(network(inputs, mode='tensor').float(), labels)
        loss.backward()

    step(None)  # gradients are there from now on, as in every step of a training but its first
    for candidate in family.candidates:
        share = candidate.cost.macs / family.teacher_cost.macs
        yield compare(f'{name}: candidate {candidate.key} ({share:.3f} of the MACs) over the full network',
                      lambda kept=candidate.kept: step(kept), lambda: step(None), options,
                      target=share + MARGIN[config['backbone']['type']])


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=8, seconds=8, add=networks.add_names)
    report('Cost of a candidate, forward + backward', [row for name in options.names for row in rows_of(name, options)],
           options)
