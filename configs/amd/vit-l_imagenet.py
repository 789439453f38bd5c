"""ViT-L/16 -> 10 % of its MACs on ImageNet-1k by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: ImageNet is in the abstract; its table is not in the supplement, so no figure is quoted.
Teacher: MMPretrain's ViT-L/16 of MoCo v3, downloaded. To train one, run configs/teacher/teacher_vit-l_imagenet.py and
    add --cfg-options model.teacher=work_dirs/teacher_vit-l_imagenet/teacher.pth
Command: tools/dist_train.sh configs/amd/vit-l_imagenet.py 16
Hardware: 16 GPUs of 40 GB, as in the paper (A100, supplement 8.2). Hours: not measured.
Schedule: candidates refit in closed form, student 100 epochs; AdamW, 3e-3, 1,024 images a step (ours but for AdamW and
    the rate).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vit-l-p16_1000-classes.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/methods/amd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='vit-large-p16_mocov3-pre_8xb64-coslr-100e_in1k')  # path, URL, key of MMPretrain's zoo, or timm:NAME
compression = dict(student_scale=0.10)
