"""Swin-S of ImageNet -> CIFAR-100 at 224 px by fine-tuning: the teacher of configs/amd/swin-s_cifar100.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; the supplement has no table of Swin.
Weights: MMPretrain's Swin-S, trained on ImageNet-1k at 224 px, downloaded; the classifier starts anew.
Command: tools/dist_train.sh configs/teacher/teacher_swin-s_cifar100.py 8
Hardware: 8 GPUs. Hours: not measured.
Schedule: 20 epochs, AdamW, 1e-4, 512 images a step (ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-s-p4w7_100-classes.py',
    '../_base_/datasets/cifar100_224.py',
    '../_base_/datasets/imagenet_normalisation.py',
    '../_base_/schedules/finetune_20e.py',
    '../_base_/default_runtime.py']

data_preprocessor = dict(**_base_.normalisation)
model = dict(
    type=_base_.architecture.type,
    backbone={**_base_.architecture.backbone, 'drop_path_rate': 0.2},  # ours
    neck=_base_.architecture.neck,
    head=_base_.architecture.head)
# The log lists the classifier's classes as a size mismatch: that layer starts anew.
load_from = 'swin-small_16xb64_in1k'
