"""ViT-B/16 -> 10 % of its MACs on CIFAR-10 by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: supplement, section 3 (the text to Table 2): 95.52 %; the student's scale is not stated there.
Teacher: configs/teacher/teacher_vit-b_cifar10.py, run first.
Command: tools/dist_train.sh configs/amd/vit-b_cifar10.py 16
Hardware: 16 GPUs of 40 GB, as in the paper (A100, supplement 8.2). Hours: not measured.
Schedule: candidates refit in closed form, student 100 epochs; AdamW, 3e-3, 1,024 images a step (ours but for AdamW and
    the rate).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vit-b-p16_10-classes.py',
    '../_base_/datasets/cifar10_224.py',
    '../_base_/methods/amd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_vit-b_cifar10/teacher.pth')  # path, URL, key of MMPretrain's zoo, or timm:NAME
compression = dict(student_scale=0.10)
