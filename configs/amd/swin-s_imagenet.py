"""Swin-S -> 10 % of its MACs on ImageNet-1k by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; the supplement says how Swin is ranked (section 1: within each stage) and has no table of it.
Teacher: MMPretrain's Swin-S, downloaded. To train one, run configs/teacher/teacher_swin-s_imagenet.py and add
    --cfg-options model.teacher=work_dirs/teacher_swin-s_imagenet/teacher.pth
Command: tools/dist_train.sh configs/amd/swin-s_imagenet.py 16
Hardware: 16 GPUs of 40 GB, as in the paper (A100, supplement 8.2). Hours: not measured.
Schedule: candidates refit in closed form, student 100 epochs; AdamW, 3e-3, 1,024 images a step (ours but for AdamW and
    the rate).
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-s-p4w7_1000-classes.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/methods/amd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='swin-small_16xb64_in1k')  # path, URL or key of MMPretrain's zoo
compression = dict(student_scale=0.10)
