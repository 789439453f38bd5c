"""ImageNet-1k as imagenet_224.py, augmented by crops and flips alone: what MMPretrain trains its ResNets on.

Layout under ``data_root``:
    train/<class>/<file>.JPEG    val/<class>/<file>.JPEG
    meta/train.txt    meta/val.txt      each line "<file below train or val> <label>"
Without a list in meta/ the folders are the classes. The official validation images are the test split here.
"""
data_root = 'data/imagenet'  # the one place: it is filled into every data set below

data_preprocessor = dict(
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],  # RGB, 0-255
    std=[58.395, 57.12, 57.375],
    to_rgb=True)  # LoadImageFromFile reads BGR

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=32,  # per GPU
    num_workers=8,  # per GPU: decoding and augmenting at full size is the work of several cores
    persistent_workers=False,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    # Every 50th image of each class, 26 of most: a tenth would take 128,000 images from training.
    dataset=dict(type='mmamd.HoldOut', part='train', every=50,
                 dataset=dict(type='ImageNet', split='train', pipeline=train_pipeline)))

# Held-out TRAINING images: the assistant is chosen on these, never on the test split.
val_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.HoldOut', part='held_out', every=50,
                 dataset=dict(type='ImageNet', split='train', pipeline=test_pipeline)))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
val_cfg = dict()

test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageNet', split='val', pipeline=test_pipeline))
test_evaluator = dict(type='Accuracy', topk=(1, 5))
test_cfg = dict()
