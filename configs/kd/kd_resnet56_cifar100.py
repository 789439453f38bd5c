"""ResNet-56 -> 32 % of its MACs on CIFAR-100 by plain distillation, the baseline of configs/amd/resnet56_cifar100.py.

The teacher distils straight into ResNet-20: no joint stage, no assistant. The losses, connectors included, and the
schedule are the same. For equal total time give it more epochs, in train_cfg as in the scheduler
(student.train_cfg.max_epochs, and milestones of student.param_scheduler).

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: supplement, Table 7: 70.66 % for KD, which has no feature loss (--cfg-options model.losses.feat=0).
Teacher: as configs/amd/resnet56_cifar100.py.
Command: tools/dist_train.sh configs/kd/kd_resnet56_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: student 240 epochs, as configs/amd/resnet56_cifar100.py.
Measured: not run.
"""
_base_ = ['../amd/resnet56_cifar100.py']

compression = dict(num_assistants=0)
