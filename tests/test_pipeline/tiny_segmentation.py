"""The whole method on a small segmentor, in seconds: street scenes of 48 x 64 pixels, four classes.

``data_root`` is set by who reads it; the scenes are written there.
"""
_base_ = ['../../configs/_base_/segmentation_runtime.py']

norm_cfg = dict(type='BN')
data_preprocessor = dict(type='SegDataPreProcessor', mean=[127.5] * 3, std=[60.] * 3, bgr_to_rgb=True,
                         size=(48, 64), pad_val=0, seg_pad_val=255)
model = dict(
    type='mmamd.AMDDistiller',
    architecture=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='mmamd.MaskedResNet', depth=18, stem_channels=8, base_channels=8, img_size=(48, 64),
            out_indices=(0, 1, 2, 3), strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
        decode_head=dict(
            type='PSPHead', in_channels=64, in_index=3, channels=16, pool_scales=(1, 2), dropout_ratio=0.1,
            num_classes=4, norm_cfg=norm_cfg, align_corners=False, loss_decode=dict(type='CrossEntropyLoss')),
        auxiliary_head=dict(
            type='FCNHead', in_channels=32, in_index=2, channels=16, num_convs=1, concat_input=False,
            dropout_ratio=0.1, num_classes=4, norm_cfg=norm_cfg, align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
        train_cfg=dict(), test_cfg=dict(mode='whole')),
    losses=dict(ce=dict(type='mmamd.TaskLoss'), logit=dict(type='mmamd.LogitLoss'),
                cwd=dict(type='mmamd.CWDLoss', layer='logits', weight=0.1),
                feat=dict(type='mmamd.FeatureLoss')))

compression = dict(student_scale=0.4, num_candidates=3, prune=('filter',), importance=dict(num_images=16, batch_size=8),
                   recalibration=dict(num_images=16, batch_size=8))
method = dict(type='mmamd.AMD')
custom_hooks = [dict(type='mmamd.SandwichSparsityHook', sampler='smallest_random'),
                dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='mIoU')]

load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
train_pipeline = [*load, dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
test_pipeline = [*load, dict(type='PackSegInputs')]
scenes = dict(type='mmamd.StreetScenes', num=36, data_prefix=dict(img_path='images', seg_map_path='labels'))
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(type='mmamd.HoldOut', part='train', every=3, block=4,
                                     dataset=dict(**scenes, pipeline=train_pipeline)))
val_dataloader = dict(batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(type='mmamd.HoldOut', part='held_out', every=3, block=4,
                                   dataset=dict(**scenes, pipeline=test_pipeline)))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**{**scenes, 'num': 6, 'first': 100}, pipeline=test_pipeline))
val_evaluator = test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
val_cfg = dict()
test_cfg = dict()

runner_type = 'mmamd.MultiStepRunner'
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
joint = dict(train_cfg=dict(max_iters=6, epoch_iters=3),
             param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=6, by_epoch=False)])
student = dict(train_cfg=dict(max_iters=6, epoch_iters=3),
               param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=6, by_epoch=False)])
