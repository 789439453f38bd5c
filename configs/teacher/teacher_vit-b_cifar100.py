"""Teacher of configs/amd/vit-b_cifar100.py: ViT-B/16 fine-tuned on CIFAR-100 at 224 px.

Weights: pre-trained on ImageNet-21k, fine-tuned on ImageNet-1k at 384 px (MMPretrain's
vit-base-p16_in21k-pre_3rdparty_in1k-384px, converted from Google's release); the position embedding is resized.
Command: tools/dist_train.sh configs/teacher/teacher_vit-b_cifar100.py 8
Hours and accuracy: not measured by this project. The paper prints 89.33 for its teacher (supplement, Table 5).
"""
_base_ = ['../_base_/models/vit-b_cifar100.py', '../_base_/datasets/cifar100_224.py', '../_base_/default_runtime.py']

model = _base_.architecture
# The log lists the classifier's 1,000 classes as a size mismatch: that layer starts anew.
load_from = ('https://download.openmmlab.com/mmclassification/v0/vit/finetune/'
             'vit-base-p16_in21k-pre-3rdparty_ft-64xb64_in1k-384_20210928-98e8652b.pth')

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),  # fine-tuning: a thirtieth of the distillation's
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)}),
    clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(base_batch_size=512)  # 8 GPUs x 64
train_cfg = dict(by_epoch=True, max_epochs=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', interval=-1, save_last=True, filename_tmpl='teacher.pth')]
