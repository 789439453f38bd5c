"""AMD beside what a user would pick instead: same teacher, images, augmentation and losses.

ViT-micro on CIFAR-100 at the budget of sampler_study.py, students of 10 % and of 15 % of the MACs; as many student
epochs, and as many as cost about what all of AMD costs.

- AMD and plain KD at 10 % are rows of sampler_study.py.
- Torch-Pruning prunes heads and hidden neurons by Taylor importance, ranked over the whole network, but for a head and
  a neuron that each block keeps; the dense student is a ViT of the same depth, drawn at random. Both are then trained
  by the same plain KD; their hidden states meet the teacher's through linear layers.
- MMD, the manual multi-step distillation of the AMD paper, trains assistants by plain KD and distils each of them into
  a student; the student that is best on the images of the selection is kept. It is given four assistants, every other
  one of AMD's grid, which is about half of what all eight cost.

    python benchmarks/peer_study.py run --data data/cifar100 --teacher data/vit-micro_cifar100.pth --seeds 0 1 2
    python benchmarks/peer_study.py table
"""

import networks
import numpy as np
import peers
import sampler_study
import study
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmamd.pruning.complexity import network_cost
from mmamd.weights.checkpoint import load_weights

ROWS = study.ROOT / 'results' / 'peer_study' / 'rows.jsonl'
AMD, KD, LONGER_KD = 'smallest + random, 3 joint epochs', 'kd', 'kd, 11 epochs'  # points of the other study
MMD = 'MMD of four assistants'
MANUAL = (0.2, 0.4, 0.6, 0.8)  # their scales
SCALES = {0.10: '', 0.15: ', 15 %'}  # of the student -> how the names of its points end


def _points():
    """Name -> scale of the student, epochs, and who makes the student; without those of the other study."""
    found = {}
    for scale, suffix in SCALES.items():
        for kd in (KD, LONGER_KD):  # equal student epochs, and about equal cost
            found[kd + suffix] = plain = dict(scale=scale, **sampler_study.POINTS[kd])
            found[f'Torch-Pruning + {kd}{suffix}'] = dict(plain, peer='torch-pruning')
            found[f'dense + {kd}{suffix}'] = dict(plain, peer='dense')
        found[AMD + suffix] = dict(scale=scale, **sampler_study.POINTS[AMD])
        found[MMD + suffix] = dict(scale=scale, **sampler_study.POINTS[KD], peer='mmd')
    return {name: point for name, point in found.items() if name not in sampler_study.POINTS}


POINTS = _points()


def job(settings, seed, work_dir, args):
    """One run."""
    settings = dict(settings)
    scale, peer = settings.pop('scale'), settings.pop('peer', None)
    overrides = {'compression.student_scale': scale}
    if peer == 'mmd':
        overrides |= {'method': dict(type='mmamd.MMD', assistants=MANUAL)}
    cfg = study.config(seed, args, **settings, **overrides)
    if peer in ('dense', 'torch-pruning'):
        student, share = make_student(peer, scale, cfg, work_dir)
        # One candidate, which plain KD has no use for: none of the grid may be as large as the student.
        cfg.merge_from_dict({'compression.student_architecture': student, 'compression.student_scale': share,
                             'compression.num_candidates': 1,
                             'student.losses': dict(feat=dict(layers=peers.connections(student)))})
    return study.carry_out(cfg, work_dir)


def make_student(peer, scale, cfg, work_dir):
    """Config of the peer's student, and its share of the MACs."""
    init_default_scope(cfg.default_scope)
    architecture = cfg.model.architecture.to_dict()
    teacher = networks.build(architecture).eval()
    load_weights(teacher, cfg.model.teacher)
    whole = network_cost(teacher).macs
    if peer == 'dense':
        student = networks.dense_config(architecture, scale * whole)
        return student, round(network_cost(networks.build(student)).macs / whole, 4)
    config, network = peers.torch_pruned(teacher, architecture, *scored_images(cfg), scale * whole)
    path = work_dir.parent / f'{work_dir.name}_start.pth'
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': network.state_dict()}, path)
    config['init_cfg'] = dict(type='Pretrained', checkpoint=str(path))
    return config, round(network_cost(network).macs / whole, 4)


def tables(rows, shared=None):
    """A table for each scale of the student.

    Args:
        rows: Finished jobs of this study.
        shared: Those of the other study; read from its file by default.
    """
    shared = study.read_rows(sampler_study.ROWS) if shared is None else shared
    if len({row['bfloat16'] for row in [*rows, *shared]}) > 1:
        raise SystemExit(f'{ROWS} and {sampler_study.ROWS}: one was run with --amp and the other without; their rows '
                         'cannot be compared')
    scale_of = {AMD: 0.10, KD: 0.10, LONGER_KD: 0.10, **{name: point['scale'] for name, point in POINTS.items()}}
    lines = []
    for scale, suffix in SCALES.items():
        of_scale = [row for row in [*shared, *rows] if scale_of.get(row['point']) == scale]
        lines += [f'Student of {scale:.0%} of the MACs', '', *study.table(of_scale, AMD + suffix, KD + suffix), '']
    return lines


def scored_images(cfg):
    """As many training images as our scoring sees, preprocessed, and their classes."""
    cfg = Config(cfg.to_dict())
    dataset = DATASETS.build({**cfg.train_dataloader.dataset, 'pipeline': cfg.test_dataloader.dataset.pipeline,
                              'data_root': cfg.data_root})
    drawn = np.random.default_rng(cfg.randomness.seed).permutation(len(dataset))
    samples = [dataset[i] for i in drawn[:cfg.compression.importance.num_images].tolist()]
    preprocess = MODELS.build({'type': 'ClsDataPreprocessor', **cfg.data_preprocessor})
    images = preprocess({'inputs': torch.stack([sample['inputs'] for sample in samples])})['inputs']
    return images, torch.cat([sample['data_samples'].gt_label for sample in samples])


if __name__ == '__main__':
    study.command_line(__doc__, POINTS, ROWS, job, tables)
