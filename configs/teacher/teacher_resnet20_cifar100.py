"""ResNet-20 from scratch -> CIFAR-100 at 32 px: the teacher of configs/amd/resnet20_cifar100.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network on the paper's data.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/teacher/teacher_resnet20_cifar100.py 1
Hardware: one CPU core. Hours: about 1, another training beside it.
Schedule: 24 epochs, SGD, 1e-1, 128 images a step (He et al.'s rate and batch; cosine in place of their steps, ours).
Measured: results/2026-11-25_swin-micro_resnet20_cifar100.md:
    test top-1 62.19 %; seed 0.
"""
_base_ = [
    '../_base_/models/resnet20_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/default_runtime.py']

model = _base_.architecture

train_dataloader = dict(batch_size=128)  # one process
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=128)  # one process
train_cfg = dict(by_epoch=True, max_epochs=24)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', interval=-1, save_last=True, filename_tmpl='teacher.pth')]
