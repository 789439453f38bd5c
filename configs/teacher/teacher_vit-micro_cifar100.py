"""ViT-micro from scratch -> CIFAR-100 at 32 px: a teacher for configs/amd/vit-micro_cifar100.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Weights: none, trained from scratch.
Command: tools/train.py configs/teacher/teacher_vit-micro_cifar100.py --amp --cfg-options optim_wrapper.dtype=bfloat16
Hardware: one H200, six processes that read images, beside thirteen other runs. Hours: 0.22.
Schedule: 100 epochs, AdamW, 2e-3, 512 images a step; RandAugment, of five batches two by CutMix and one by mixup,
    averaged weights (ours).
Measured: results/teachers/README.md:
    test top-1 63.53 %; seed 0. The teacher of most records was trained otherwise, for 26 epochs, and has 56.94.
"""
_base_ = [
    '../_base_/models/vit-micro-p4_100-classes.py',
    '../_base_/datasets/cifar100_32.py',
    '../_base_/default_runtime.py']

# From scratch, 45,000 images are learnt by heart without them: RandAugment, and batches that are mixed.
model = dict(**_base_.architecture, train_cfg=dict(
    augments=[dict(type='CutMix', alpha=1.0), dict(type='Mixup', alpha=0.2)], probs=[0.4, 0.2]))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandAugment', policies='timm_increasing', num_policies=2, total_level=10, magnitude_level=7,
         magnitude_std=0.5, hparams=dict(pad_val=[112, 124, 129], interpolation='bilinear')),
    dict(type='PackInputs')]
train_dataloader = dict(batch_size=512, num_workers=4, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)}),
    clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(base_batch_size=512)  # one process
train_cfg = dict(by_epoch=True, max_epochs=100)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

custom_hooks = [
    dict(type='EMAHook', momentum=2e-3, update_buffers=True),  # about the last 500 steps
    # Written once, at the end: an unfinished teacher cannot be distilled by mistake.
    dict(type='CheckpointHook', interval=-1, save_last=True, save_optimizer=False, filename_tmpl='teacher.pth')]
