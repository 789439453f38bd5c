"""Swin-B at 224 px, 1,000 classes: stages of 2, 2, 18 and 2 blocks of 4, 8, 16 and 32 heads.

Patches of 4 px, windows of 7 x 7 patches; 128 channels in the first stage, and four hidden neurons for each channel.
"""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmamd.MaskedSwin', arch='base', img_size=224,
        drop_path_rate=0.0),  # the host's default is 0.1; a student whose units are few should not lose more
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=1024,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
