"""A small Swin at 32 px, 100 classes: stages of 2, 4 and 2 blocks of 3, 6 and 12 heads; 1,509,994 parameters.

Patches of 2 px, windows of 4 x 4 patches; maps of 16 x 16, 8 x 8 and 4 x 4 patches of 48, 96 and 192 channels.
"""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmamd.MaskedSwin', img_size=32, patch_size=2, window_size=4, out_indices=(2,), drop_path_rate=0.0,
        arch=dict(embed_dims=48, depths=[2, 4, 2], num_heads=[3, 6, 12])),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=192))
