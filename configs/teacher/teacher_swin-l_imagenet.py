"""Swin-L of ImageNet-21k -> ImageNet-1k at 224 px by fine-tuning: a teacher for configs/amd/swin-l_imagenet.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: none is quoted: the table of ImageNet is not in the supplement.
Weights: MMPretrain's Swin-L, pre-trained on ImageNet-21k and fine-tuned on ImageNet-1k at 224 px (converted from
    Microsoft's release), downloaded. It is fine-tuned once more, without the held-out images of the compression.
Command: tools/dist_train.sh configs/teacher/teacher_swin-l_imagenet.py 8
Hardware: 8 GPUs. Hours: not measured.
Schedule: 20 epochs, AdamW, 1e-4, 512 images a step (ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-l-p4w7_1000-classes.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/finetune_20e.py',
    '../_base_/default_runtime.py']

model = dict(
    type=_base_.architecture.type,
    backbone={**_base_.architecture.backbone, 'drop_path_rate': 0.2},  # ours
    neck=_base_.architecture.neck,
    head=_base_.architecture.head)
load_from = 'swin-large_in21k-pre-3rdparty_in1k'
