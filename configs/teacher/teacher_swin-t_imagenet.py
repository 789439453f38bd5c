"""Swin-T from scratch -> ImageNet-1k at 224 px: a teacher for configs/amd/swin-t_imagenet.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; the recipe is Swin's (Liu et al. 2021), whose result MMPretrain publishes as swin-tiny_16xb64_in1k.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/teacher/teacher_swin-t_imagenet.py 16
Hardware: 16 GPUs. Hours: not measured.
Schedule: 300 epochs, AdamW, 1e-3, 1,024 images a step (Swin's, which is DeiT's, as MMPretrain has it).
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-t-p4w7_1000-classes.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/deit_300e.py',
    '../_base_/default_runtime.py']

model = dict(
    type=_base_.architecture.type,
    backbone={**_base_.architecture.backbone, 'drop_path_rate': 0.2},  # Swin's, for training from scratch
    neck=_base_.architecture.neck,
    head=_base_.architecture.head,
    init_cfg=_base_.init_cfg)
