"""Swin-micro from scratch -> CIFAR-100 at 32 px: the teacher of configs/amd/swin-micro_cifar100.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/teacher/teacher_swin-micro_cifar100.py 1 --amp
Hardware: one CPU core that multiplies in bfloat16. Hours: 1.1 to 1.7, another training beside it.
Schedule: 20 epochs, AdamW, 1e-3, 128 images a step (ours).
Measured: results/teachers/README.md:
    test top-1 50.76 %; seed 0. That of results/2026-11-25_swin-micro_resnet20_cifar100.md had 50.93.
"""
_base_ = [
    '../_base_/models/swin-micro-p2w4_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/default_runtime.py']

model = _base_.architecture

train_dataloader = dict(batch_size=128)  # one process
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0, custom_keys={'.relative_position_bias_table': dict(decay_mult=0.0)}),
    clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(base_batch_size=128)  # one process
train_cfg = dict(by_epoch=True, max_epochs=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', interval=-1, save_last=True, filename_tmpl='teacher.pth')]
