"""CIFAR-100 as MMPretrain reads it, at 224 px: 45,000 images to train on, 5,000 held out, 10,000 to test on.

``data_root`` holds the original pickles (``cifar-100-python/``); MMPretrain downloads them if they are absent.
"""
data_root = 'data/cifar100'  # the one place: it is filled into every data set below

data_preprocessor = dict(
    num_classes=100,
    mean=[127.5, 127.5, 127.5],  # what the ImageNet-21k weights of the teacher were trained with; RGB, 0-255
    std=[127.5, 127.5, 127.5],
    to_rgb=False)  # the pickles are RGB

# Cropped and flipped before it is enlarged: what 28 pixels of padding are at 224 px, at a fraction of the cost.
train_pipeline = [
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='Resize', scale=(224, 224), interpolation='bicubic', backend='pillow'),
    dict(type='PackInputs')]
test_pipeline = [
    dict(type='Resize', scale=(224, 224), interpolation='bicubic', backend='pillow'),
    dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=64,  # per GPU
    num_workers=2,
    persistent_workers=False,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmamd.HoldOut', part='train', every=10,
                 dataset=dict(type='CIFAR100', split='train', pipeline=train_pipeline)))

# Held-out TRAINING images: the assistant is chosen on these, never on the test split.
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.HoldOut', part='held_out', every=10,
                 dataset=dict(type='CIFAR100', split='train', pipeline=test_pipeline)))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
val_cfg = dict()

test_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CIFAR100', split='test', pipeline=test_pipeline))
test_evaluator = dict(type='Accuracy', topk=(1, 5))
test_cfg = dict()
