"""The whole method in seconds: 163 digits, a network of 8 heads, everything on that must survive an interruption.

Without ``model.teacher`` the teacher is trained first, by tiny_teacher.py.
"""
_base_ = ['../../configs/_base_/datasets/digits.py', '../../configs/_base_/default_runtime.py']

teacher_config = '{{ fileDirname }}/tiny_teacher.py'
model = dict(
    type='mmamd.AMDDistiller',
    architecture=dict(
        type='ImageClassifier',
        backbone=dict(
            type='mmamd.MaskedViT', img_size=8, patch_size=4, out_type='avg_featmap', drop_path_rate=0.1,
            arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=128)),
        head=dict(type='LinearClsHead', num_classes=10, in_channels=32),
        train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8)])),
    teacher=None,
    losses=dict(ce=dict(type='mmamd.TaskLoss'), logit=dict(type='mmamd.LogitLoss'),
                feat=dict(type='mmamd.FeatureLoss')))

# The grid 0.25, 0.50, 0.75 leaves two candidates above the student.
compression = dict(student_scale=0.3, num_candidates=3, importance=dict(num_images=64, batch_size=32))
method = dict(type='mmamd.AMD')
custom_hooks = [
    dict(type='mmamd.SandwichSparsityHook', sampler='sandwich', num_random=1),
    dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]

# The first 200 training images: 163 to train on (10 steps an epoch), 37 held out; the first 100 to test on.
# Shifted by one pixel at random, in two workers.
train_dataloader = dict(batch_size=16, num_workers=2, dataset=dict(dataset=dict(
    indices=200, pipeline=[dict(type='RandomCrop', crop_size=8, padding=1), dict(type='PackInputs')])))
val_dataloader = dict(dataset=dict(dataset=dict(indices=200)))
test_dataloader = dict(dataset=dict(indices=100))

runner_type = 'mmamd.MultiStepRunner'
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05))
auto_scale_lr = dict(base_batch_size=16)
joint = dict(
    train_cfg=dict(max_epochs=3),
    param_scheduler=[dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(max_epochs=3),
    param_scheduler=[dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)])
