"""ResNet-20 -> 30 % of its MACs on CIFAR-100 by plain KD, the baseline of configs/amd/resnet20_cifar100.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network on the paper's data.
Teacher: as configs/amd/resnet20_cifar100.py.
Command: tools/dist_train.sh configs/kd/kd_resnet20_cifar100.py 1
Hardware: one CPU core; score, student and export took 21 minutes.
Schedule: student 12 epochs, as configs/amd/resnet20_cifar100.py.
Measured: results/2026-11-25_swin-micro_resnet20_cifar100.md:
    test top-1 57.60 % at 0.2994 of the MACs (teacher 62.19 %); seed 0.
"""
_base_ = ['../amd/resnet20_cifar100.py']

method = dict(type='mmamd.KD')
