"""ViT-micro -> 10 % of its MACs on CIFAR-100 by plain distillation, the baseline of configs/amd/vit-micro_cifar100.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule. For equal total time give it more epochs: --cfg-options
student.train_cfg.max_epochs=13.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Teacher: as configs/amd/vit-micro_cifar100.py.
Command: tools/dist_train.sh configs/kd/kd_vit-micro_cifar100.py 2
Hardware: two CPU cores; 39 minutes of CPU time (62 with 13 epochs), about half of it by the clock.
Schedule: student 8 epochs, as configs/amd/vit-micro_cifar100.py.
Measured: results/2026-11-20_vit-micro_cifar100.md: test top-1 49.88 % with 8 epochs, 52.01 % with 13; seed 0.
"""
_base_ = ['../amd/vit-micro_cifar100.py']

method = dict(type='mmamd.KD')
