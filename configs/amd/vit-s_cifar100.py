"""ViT-S/16 -> 10 % of its MACs on CIFAR-100 by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: supplement, Table 6 (ViT-Small, CIFAR-100); not quoted, our copy of the table has lost its figures.
Teacher: configs/teacher/teacher_vit-s_cifar100.py, run first.
Command: tools/dist_train.sh configs/amd/vit-s_cifar100.py 16
Hardware: 16 GPUs of 40 GB, as in the paper (A100, supplement 8.2). Hours: not measured.
Schedule: candidates refit in closed form, student 100 epochs; AdamW, 3e-3, 1,024 images a step (ours but for AdamW and
    the rate).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vit-s-p16_100-classes.py',
    '../_base_/datasets/cifar100_224.py',
    '../_base_/methods/amd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_vit-s_cifar100/teacher.pth')  # path, URL, key of MMPretrain's zoo, or timm:NAME
compression = dict(student_scale=0.10)
