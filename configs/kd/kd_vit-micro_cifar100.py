"""ViT-micro -> 10 % of its MACs on CIFAR-100 by plain distillation, the baseline of configs/amd/vit-micro_cifar100.py.

The teacher distils straight into the student, which starts from the weights as they were cut and is told by the teacher
in every step, and has the labels' loss. With the refit and the kept outputs of configs/amd/vit-micro_cifar100.py: that
config with --cfg-options method.type=mmamd.KD; without its refit it is configs/kd/kd-kept_vit-micro_cifar100.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Teacher: as configs/amd/vit-micro_cifar100.py.
Command: tools/dist_train.sh configs/kd/kd_vit-micro_cifar100.py 2
Hardware: two CPU cores; 39 minutes of CPU time (62 with 13 epochs), about half of it by the clock.
Schedule: student 8 epochs; AdamW, 1e-3, 128 images a step.
Measured: results/2026-11-20_vit-micro_cifar100.md: test top-1 49.88 % with 8 epochs, 52.01 % with 13; seed 0.
"""
_base_ = ['../amd/vit-micro_cifar100.py']

model = dict(losses=dict(ce=dict(weight=1.0), feat=dict(weight=0.1)))
compression = dict(refit=None, budget=None)
teacher_cache = None
method = dict(type='mmamd.KD')
