"""Handwritten digits of scikit-learn: 1,157 images to train on, 285 held out for the selection, 355 to test on."""
data_preprocessor = dict(
    num_classes=10,
    mean=[77.8, 77.8, 77.8],  # over the training split; 0-255
    std=[95.9, 95.9, 95.9],
    to_rgb=False)  # three equal channels

# No augmentation: a shift by one pixel is half a patch of 2 x 2, a flipped digit is no digit.
train_pipeline = [dict(type='PackInputs')]
test_pipeline = [dict(type='PackInputs')]

# NOTE: num_workers=0 because starting two workers every epoch costs more than reading 1,157 images from memory.
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    # Every 5th image: a tenth would leave 140 images to tell the candidates apart by.
    dataset=dict(type='mmamd.HoldOut', part='train', every=5,
                 dataset=dict(type='mmamd.Digits', split='train', pipeline=train_pipeline)))

# Held-out TRAINING images: the assistant is chosen on these, never on the test split.
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.HoldOut', part='held_out', every=5,
                 dataset=dict(type='mmamd.Digits', split='train', pipeline=test_pipeline)))
val_evaluator = dict(type='Accuracy', topk=(1,))
val_cfg = dict()

test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmamd.Digits', split='test', pipeline=test_pipeline))
test_evaluator = dict(type='Accuracy', topk=(1,))
test_cfg = dict()
