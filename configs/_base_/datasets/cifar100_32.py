"""CIFAR-100 as PNG folders, 32 px: 45,000 images to train on, 5,000 held out for the selection, 10,000 to test on.

Layout under ``data_root``:
    train/<class>/<file>.png    test/<class>/<file>.png
    meta/train.txt    meta/select.txt    meta/test.txt      each line "<class>/<file>.png <label>"
train.txt and select.txt split the training folder between them.
"""
data_root = 'data/cifar100'  # the one place: it is filled into every data set below

data_preprocessor = dict(
    num_classes=100,
    mean=[129.304, 124.070, 112.434],  # RGB, 0-255
    std=[68.170, 65.392, 70.418],
    to_rgb=True)  # LoadImageFromFile reads BGR

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=64,  # per process: 128 for the two processes of the command
    num_workers=1,
    persistent_workers=False,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CustomDataset', data_prefix='train', ann_file='meta/train.txt', pipeline=train_pipeline))

# Held-out TRAINING images: the assistant is chosen on these, never on the test split.
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_prefix='train', ann_file='meta/select.txt', pipeline=test_pipeline))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
val_cfg = dict()

test_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_prefix='test', ann_file='meta/test.txt', pipeline=test_pipeline))
test_evaluator = dict(type='Accuracy', topk=(1, 5))
test_cfg = dict()
