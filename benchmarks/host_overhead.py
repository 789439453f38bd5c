"""What it costs to be elastic: a masked backbone with all its units over MMPretrain's own network, same weights.

Targets: forward pass 1.03, training step 1.05, memory 1.05.

    python benchmarks/host_overhead.py [--network ViT-S/16 Swin-T] [--device cuda --dtype bfloat16 --batch-size 256]
"""

import networks
import torch
import torch.nn.functional as F
from side_by_side import compare, counted, parse_args, peak_bytes, precision, report


def rows_of(name, options):
    config = networks.architecture(name)
    elastic, host = networks.with_host(config, options.device)
    inputs = networks.images(elastic, options.batch_size, options.device)
    labels = inputs.new_zeros(len(inputs)).long()

    def forward(network):
        network.eval()
        with torch.no_grad(), precision(options):
            network(inputs, mode='tensor')

    optimizers = {network: torch.optim.AdamW(network.parameters(), lr=0.) for network in (elastic, host)}

    def step(network):
        network.train()
        with precision(options):
            loss = F.cross_entropy(network(inputs, mode='tensor').float(), labels)
        loss.backward()
        optimizers[network].step()
        optimizers[network].zero_grad()

    host_class = networks.HOSTS[config['backbone']['type']]
    yield compare(f'{name}: forward pass over {host_class}', lambda: forward(elastic), lambda: forward(host), options,
                  target=1.03)
    yield compare(f'{name}: training step over {host_class}', lambda: step(elastic), lambda: step(host), options,
                  target=1.05)
    yield counted(f'{name}: peak memory of a step over {host_class}',
                  *(peak_bytes(lambda network=network: step(network), options.device) for network in (elastic, host)),
                  'bytes', target=1.05)


if __name__ == '__main__':
    options = parse_args(__doc__, batch_size=8, seconds=12, add=networks.add_names)
    report('Elastic backbone over its host', [row for name in options.names for row in rows_of(name, options)], options)
