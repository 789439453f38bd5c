"""Plain knowledge distillation, the baseline of configs/amd/vit-tiny_digits.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule. For equal total time give it more epochs: --cfg-options
student.train_cfg.max_epochs=N.
Command: python tools/train.py configs/kd/kd_vit-tiny_digits.py
"""
_base_ = ['../amd/vit-tiny_digits.py']

compression = dict(num_assistants=0)
