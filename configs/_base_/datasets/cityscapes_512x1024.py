"""Cityscapes in crops of 512 x 1024: 2,395 images to train on, 580 held out, 500 to test on; 19 classes.

The layout is the customary one: leftImg8bit/ and gtFine/ with *_labelTrainIds.png below data_root. The labels of the
official test split are not published, so its val split judges, as customary. Blocks of twenty neighbouring images, in
the order of cities and drives, are held out, every fifth. Networks are judged on whole images of 2048 x 1024.
"""
data_root = 'data/cityscapes'
size = (512, 1024)  # height, width of training crops
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
    dict(type='RandomResize', scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
    dict(type='LoadAnnotations'),  # behind Resize: predictions are enlarged to the labels, not labels shrunk
    dict(type='PackSegInputs')]

train_dataloader = dict(
    batch_size=2,  # 4 GPUs x 2
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='mmamd.HoldOut', part='train', every=5, block=20, dataset=dict(
        type='CityscapesDataset', pipeline=train_pipeline,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'))))

# Held-out TRAINING images: the assistant is chosen on these, never on the test split.
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.HoldOut', part='held_out', every=5, block=20, dataset=dict(
        type='CityscapesDataset', pipeline=test_pipeline,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'))))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
val_cfg = dict()

test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CityscapesDataset', pipeline=test_pipeline,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_cfg = dict()
