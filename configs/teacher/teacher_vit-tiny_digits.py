"""ViT-tiny from scratch -> handwritten digits at 8 px: the teacher of configs/amd/vit-tiny_digits.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; bundled data, to see every stage at work.
Weights: none, trained from scratch.
Command: python tools/train.py configs/teacher/teacher_vit-tiny_digits.py      (the compression trains it by itself)
Hardware: two CPU cores. Minutes: not measured on its own.
Schedule: 40 epochs, AdamW, 2e-3, 64 images a step (ours).
Measured: tools/quickstart.sh, once, as its first stage: test top-1 95.21 %; seed 0.
"""
_base_ = [
    '../_base_/models/vit-tiny-p2_10-classes.py',
    '../_base_/datasets/digits.py',
    '../_base_/default_runtime.py']

model = _base_.architecture

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05), clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(base_batch_size=64)
train_cfg = dict(by_epoch=True, max_epochs=40)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=36),  # two epochs of 18 steps
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]
