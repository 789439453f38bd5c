"""ViT-tiny -> 10 % of its MACs on digits by plain distillation, the baseline of configs/amd/vit-tiny_digits.py.

The teacher distils straight into the student: no joint stage, no assistant. The student starts from the same ranked
and pruned weights and has the same schedule. For equal total time give it more epochs: --cfg-options
student.train_cfg.max_epochs=N.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; bundled data, to see every stage at work.
Teacher: as configs/amd/vit-tiny_digits.py.
Command: python tools/train.py configs/kd/kd_vit-tiny_digits.py
Hardware: two CPU cores. Minutes: not measured.
Schedule: student 30 epochs, as configs/amd/vit-tiny_digits.py.
Measured: not run.
"""
_base_ = ['../amd/vit-tiny_digits.py']

compression = dict(num_assistants=0)
