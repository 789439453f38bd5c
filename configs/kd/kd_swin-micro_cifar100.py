"""Swin-micro -> 10 % of its MACs on CIFAR-100 by plain KD, the baseline of configs/amd/swin-micro_cifar100.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule. For equal total time give it more epochs: --cfg-options
student.train_cfg.max_epochs=13.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Teacher: as configs/amd/swin-micro_cifar100.py.
Command: tools/dist_train.sh configs/kd/kd_swin-micro_cifar100.py 1 --amp
Hardware: one CPU core that multiplies in bfloat16; score, student and export took 15 minutes.
Schedule: student 8 epochs, as configs/amd/swin-micro_cifar100.py.
Measured: results/2026-11-25_swin-micro_resnet20_cifar100.md:
    test top-1 38.98 % at 0.0975 of the MACs (teacher 50.93 %); seed 0.
"""
_base_ = ['../amd/swin-micro_cifar100.py']

method = dict(type='mmamd.KD')
