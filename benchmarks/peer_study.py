"""AMD beside what a user would pick instead: same teacher, images, augmentation, losses and student epochs.

ViT-micro on CIFAR-100 at the budget of sampler_study.py, students of 10 % and of 15 % of the MACs. Torch-Pruning
prunes heads and hidden neurons by Taylor importance, ranked over the whole network; the dense student is a ViT of the
same depth, drawn at random. Both are then trained by the same plain KD; their hidden states meet the teacher's through
linear layers.

    python benchmarks/peer_study.py run --data data/cifar100 --teacher data/vit-micro_cifar100.pth --seeds 0 1 2
    python benchmarks/peer_study.py table
"""

import networks
import numpy as np
import peers
import study
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmamd.distillation.checkpoint import load_weights
from mmamd.pruning.complexity import network_cost

ROWS = study.ROOT / 'results' / 'peer_study' / 'rows.jsonl'
AMD = dict(joint_epochs=3, sampler='random')
# Name -> scale of the student, epochs, and who makes the student.
POINTS = {
    'kd': dict(scale=0.10, student_epochs=5),
    'AMD': dict(scale=0.10, student_epochs=5, **AMD),
    'Torch-Pruning + KD': dict(scale=0.10, student_epochs=5, peer='torch-pruning'),
    'dense + KD': dict(scale=0.10, student_epochs=5, peer='dense'),
    'kd, equal cost': dict(scale=0.10, student_epochs=9),
    'Torch-Pruning + KD, equal cost': dict(scale=0.10, student_epochs=9, peer='torch-pruning'),
    'dense + KD, equal cost': dict(scale=0.10, student_epochs=9, peer='dense'),
    'kd, 15 %': dict(scale=0.15, student_epochs=5),
    'AMD, 15 %': dict(scale=0.15, student_epochs=5, **AMD),
    'Torch-Pruning + KD, 15 %': dict(scale=0.15, student_epochs=5, peer='torch-pruning'),
    'dense + KD, 15 %': dict(scale=0.15, student_epochs=5, peer='dense')}


def job(settings, seed, work_dir, args):
    """One run."""
    settings = dict(settings)
    scale, peer = settings.pop('scale'), settings.pop('peer', None)
    cfg = study.config(seed, args, **settings, **{'compression.student': scale})
    if peer:
        student, share = make_student(peer, scale, cfg, work_dir)
        cfg.merge_from_dict({'model.student_architecture': student, 'compression.student': share,
                             'model.connect': peers.connections(student)})
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


def tables(rows):
    """A table for each scale of the student."""
    lines = []
    for scale, reference, baseline in ((0.10, 'AMD', 'kd'), (0.15, 'AMD, 15 %', 'kd, 15 %')):
        of_scale = [row for row in rows if POINTS[row['point']]['scale'] == scale]
        lines += [f'Student of {scale:.0%} of the MACs', '', *study.table(of_scale, reference, baseline), '']
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
