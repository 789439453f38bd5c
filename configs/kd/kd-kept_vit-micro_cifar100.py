"""ViT-micro -> 10 % of its MACs on CIFAR-100 by the teacher's stored outputs alone: what won at equal cost.

The teacher is asked once for two views of an image; the student starts from the weights as they were cut, and learns
from the answers for as many epochs as the budget leaves, without a loss of the labels. One training, no choice. Where
the budget is that of one epoch of plain distillation, a start from refit weights was better (docs/costs.md).

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Teacher: as configs/amd/vit-micro_cifar100.py.
Command: tools/dist_train.sh configs/kd/kd-kept_vit-micro_cifar100.py 2
Hardware: one CPU core that multiplies in bfloat16, shared with other programs; score to export took 54 minutes.
Schedule: student at the cost of 8 epochs of plain distillation: 28; AdamW, 1e-3, 128 images a step.
Measured: results/2026-11-27_vit-micro_cifar100.md:
    test top-1 54.08 % at 0.0999 of the MACs (teacher 56.94 %); seed 0.
"""
_base_ = ['../amd/vit-micro_cifar100.py']

compression = dict(refit=None)
method = dict(type='mmamd.KD')
