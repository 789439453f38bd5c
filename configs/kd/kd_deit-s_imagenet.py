"""DeiT-S/16 -> 10 % of its MACs on ImageNet-1k by plain distillation, the baseline of configs/amd/deit-s_imagenet.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule. For equal total time give it more epochs, in train_cfg as in the scheduler
(student.train_cfg.max_epochs, and end and periods of student.param_scheduler).

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; neither abstract nor supplement has DeiT.
Teacher: as configs/amd/deit-s_imagenet.py.
Command: tools/dist_train.sh configs/kd/kd_deit-s_imagenet.py 16
Hardware: 16 GPUs of 40 GB, as in the paper (A100, supplement 8.2). Hours: not measured.
Schedule: student 100 epochs, as configs/amd/deit-s_imagenet.py.
Measured: not run.
"""
_base_ = ['../amd/deit-s_imagenet.py']

compression = dict(num_assistants=0)
