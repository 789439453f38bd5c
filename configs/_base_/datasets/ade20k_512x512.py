"""ADE20K in crops of 512 x 512: 19,200 images to train on, 1,010 held out, 2,000 to test on; 150 classes.

The layout is that of ADEChallengeData2016. The labels of the official test split are not published, so its validation
split judges, as customary. The images are single pictures: every twentieth is held out. Label 0 of the files, what is
of no class, is ignored. Networks are judged on whole images, their short side 512, which are of many sizes, so that
only training has batches.
"""
data_root = 'data/ade/ADEChallengeData2016'
size = (512, 512)  # height, width of training crops
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
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    # Behind Resize: predictions are enlarged to the labels, not labels shrunk.
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs')]

train_dataloader = dict(
    batch_size=4,  # 4 GPUs x 4
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='mmamd.HoldOut', part='train', every=20, block=1, dataset=dict(
        type='ADE20KDataset', pipeline=train_pipeline,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'))))

# Held-out TRAINING images: the assistant is chosen on these, never on the test split.
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.HoldOut', part='held_out', every=20, block=1, dataset=dict(
        type='ADE20KDataset', pipeline=test_pipeline,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'))))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
val_cfg = dict()

test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ADE20KDataset', pipeline=test_pipeline,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation')))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_cfg = dict()
