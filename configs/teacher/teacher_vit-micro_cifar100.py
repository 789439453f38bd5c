"""Teacher of configs/amd/vit-micro_cifar100.py: a small ViT trained from scratch on CIFAR-100 at 32 px.

Command: tools/dist_train.sh configs/teacher/teacher_vit-micro_cifar100.py 2
         then --cfg-options model.teacher=work_dirs/teacher_vit-micro_cifar100/teacher.pth for the compression
Hours and accuracy: not measured yet.
"""
_base_ = ['../_base_/models/vit-micro_cifar100.py', '../_base_/datasets/cifar100_32.py', '../_base_/default_runtime.py']

# From scratch, 45,000 images are learnt by heart without it: CutMix in every second batch.
model = dict(**_base_.architecture, train_cfg=dict(augments=[dict(type='CutMix', alpha=1.0)], probs=[0.5]))

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1.5e-3, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)}),
    clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(base_batch_size=256)  # 2 processes x 128
train_cfg = dict(by_epoch=True, max_epochs=100)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', interval=-1, save_last=True, filename_tmpl='teacher.pth')]
