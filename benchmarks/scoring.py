"""What scoring costs: a pass over a batch, over a plain training step, and over Torch-Pruning's Taylor importance.

All on the same images and weights: training on the host's own network, Torch-Pruning, for a ViT, on timm's, whose
attention it follows. Its importance is one forward and backward pass, then a sum over each group of its graph: those of
the same heads and neurons. All in float32, in which the pipeline scores. Targets: 1.0 and 1.0.

    python benchmarks/scoring.py [--network ViT-S/16] [--device cuda --batch-size 256]

Needs torch-pruning (requirements/benchmarks.txt) for a ViT.
"""

import networks
import torch
import torch.nn.functional as F
from side_by_side import compare, parse_args, report

from mmamd.pruning.importance import unit_scores


def rows_of(name, options):
    config = networks.architecture(name)
    elastic, host = networks.with_host(config, options.device)
    inputs = networks.images(elastic, options.batch_size, options.device)
    annotations = networks.samples(elastic, options.batch_size, options.device)
    labels = torch.cat([sample.gt_label for sample in annotations])
    optimizer = torch.optim.AdamW(host.parameters(), lr=0.)

    def score():
        unit_scores(elastic, inputs, annotations)

    def train():
        F.cross_entropy(host(inputs, mode='tensor'), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    yield compare(f'{name}: scoring pass over a training step', score, train, options, target=1.0)
    if config['backbone']['type'] != 'mmamd.MaskedViT':
        return

    import peers
    import torch_pruning as tp
    model = peers.as_timm(elastic).eval()
    importance = tp.importance.GroupTaylorImportance()
    groups = peers.taylor_groups(model, inputs[:1])

    def taylor():
        F.cross_entropy(model(inputs), labels).backward()
        for group in groups:
            importance(group)
        model.zero_grad()

    yield compare(f'{name}: scoring pass over Torch-Pruning\'s Taylor importance', score, taylor, options, target=1.0)


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=8, seconds=10, add=networks.add_names)
    options.dtype = 'float32'
    report('Scoring', [row for name in options.names for row in rows_of(name, options)], options)
