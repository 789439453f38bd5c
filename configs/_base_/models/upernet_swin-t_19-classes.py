"""UPerNet over a Swin-T for images of 512 x 1024 pixels and 19 classes.

MMSegmentation's upernet_swin_tiny_patch4_window7, whose checkpoints load.
"""
norm_cfg = dict(type='SyncBN', requires_grad=True)
architecture = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmamd.MaskedSwin', arch='tiny', img_size=(512, 1024), out_indices=(0, 1, 2, 3), drop_path_rate=0.3),
    decode_head=dict(
        type='UPerHead', in_channels=[96, 192, 384, 768], in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6),
        channels=512, dropout_ratio=0.1, num_classes=19, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        type='FCNHead', in_channels=384, in_index=2, channels=256, num_convs=1, concat_input=False, dropout_ratio=0.1,
        num_classes=19, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
