"""Teacher of configs/amd/vit-tiny_digits.py: a tiny ViT trained from scratch on handwritten digits.

The pipeline trains it as its first stage. By itself: python tools/train.py configs/teacher/teacher_vit-tiny_digits.py
"""
_base_ = ['../_base_/models/vit-tiny_digits.py', '../_base_/datasets/digits.py', '../_base_/default_runtime.py']

model = _base_.architecture

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05), clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(base_batch_size=64)
train_cfg = dict(by_epoch=True, max_epochs=40)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=36),  # two epochs of 18 steps
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]
