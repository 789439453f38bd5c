"""Plain knowledge distillation, the baseline of configs/amd/vit-micro_cifar100.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule. For equal total time give it more epochs: --cfg-options
student.train_cfg.max_epochs=N.
Command: tools/dist_train.sh configs/kd/kd_vit-micro_cifar100.py 2
"""
_base_ = ['../amd/vit-micro_cifar100.py']

compression = dict(num_assistants=0)
