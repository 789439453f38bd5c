"""Plain knowledge distillation, the baseline of configs/amd/vit-b_cifar100.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule. For equal total time give it more epochs, in train_cfg as in the scheduler
(student.train_cfg.max_epochs, and end and periods of student.param_scheduler).
Command: tools/dist_train.sh configs/kd/kd_vit-b_cifar100.py 16
"""
_base_ = ['../amd/vit-b_cifar100.py']

compression = dict(num_assistants=0)
