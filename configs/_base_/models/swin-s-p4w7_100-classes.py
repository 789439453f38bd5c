"""Swin-S at 224 px, 100 classes: stages of 2, 2, 18 and 2 blocks of 3, 6, 12 and 24 heads.

Patches of 4 px, windows of 7 x 7 patches; 96 channels in the first stage, and four hidden neurons for each channel.
"""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmamd.MaskedSwin', arch='small', img_size=224,
        drop_path_rate=0.0),  # the host's default is 0.1; a student whose units are few should not lose more
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=768))
