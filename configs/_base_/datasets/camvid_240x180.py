"""CamVid at 240 x 180: 297 frames to train on, 70 held out for the selection, 233 to test on; 11 classes.

Blocks of ten neighbouring frames are held out, every fifth: two neighbours are one second apart, nearly one image.
Networks see frames of half their size, and are judged at the full 480 x 360.
"""
data_root = 'data/camvid'
size = (180, 240)  # height, width of what networks see
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],  # of ImageNet, RGB, 0-255
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size=size,  # training crops are padded to it, with label 255
    pad_val=0,
    seg_pad_val=255)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(240, 180), ratio_range=(0.75, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(240, 180), keep_ratio=False),
    dict(type='LoadAnnotations'),  # behind Resize: predictions are enlarged to the labels, not labels shrunk
    dict(type='PackSegInputs')]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='mmamd.HoldOut', part='train', every=5, block=10, dataset=dict(
        type='mmamd.CamVid', pipeline=train_pipeline,
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'))))

# Held-out TRAINING frames: the assistant is chosen on these, never on the test split.
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.HoldOut', part='held_out', every=5, block=10, dataset=dict(
        type='mmamd.CamVid', pipeline=test_pipeline,
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'))))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
val_cfg = dict()

test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmamd.CamVid', pipeline=test_pipeline,
        data_prefix=dict(img_path='images/test', seg_map_path='annotations/test')))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_cfg = dict()
