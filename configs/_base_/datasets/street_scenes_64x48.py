"""Generated street scenes of 64 x 48 pixels: 160 frames to train on, 40 held out, 40 to test on; 4 classes.

Blocks of ten neighbouring frames are held out, every fifth. The files are written below data_root when they are first
read.
"""
data_root = 'data/street_scenes'
size = (48, 64)  # height, width
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[127.5] * 3,  # RGB, 0-255
    std=[60.] * 3,
    bgr_to_rgb=True,
    size=size,
    pad_val=0,
    seg_pad_val=255)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]
folders = dict(img_path='images', seg_map_path='labels')

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmamd.HoldOut', part='train', every=5, block=10, dataset=dict(
        type='mmamd.StreetScenes', num=200, pipeline=train_pipeline, data_prefix=folders)))

# Held-out TRAINING frames: the assistant is chosen on these, never on the test split.
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.HoldOut', part='held_out', every=5, block=10, dataset=dict(
        type='mmamd.StreetScenes', num=200, pipeline=test_pipeline, data_prefix=folders)))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
val_cfg = dict()

test_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.StreetScenes', num=40, first=1000, pipeline=test_pipeline, data_prefix=folders))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_cfg = dict()
