"""Swin-micro -> 10 % of its MACs on CIFAR-100 by plain KD, the baseline of configs/amd/swin-micro_cifar100.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule. For equal total time give it more epochs: --cfg-options
student.train_cfg.max_epochs=13.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Teacher: as configs/amd/swin-micro_cifar100.py.
Command: tools/dist_train.sh configs/kd/kd_swin-micro_cifar100.py 1 --amp
Hardware: one CPU core that multiplies in bfloat16. Hours: not measured.
Schedule: student 8 epochs, as configs/amd/swin-micro_cifar100.py.
Measured: not run.
"""
_base_ = ['../amd/swin-micro_cifar100.py']

compression = dict(num_assistants=0)
