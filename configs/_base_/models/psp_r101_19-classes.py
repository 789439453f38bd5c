"""PSPNet over a ResNet-101 with dilated stages, output stride 8, for images of 512 x 1024 pixels and 19 classes.

MMSegmentation's pspnet_r101-d8, whose checkpoints load.
"""
norm_cfg = dict(type='SyncBN', requires_grad=True)
architecture = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmamd.MaskedResNetV1c', depth=101, img_size=(512, 1024), out_indices=(0, 1, 2, 3),
        strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True, norm_cfg=norm_cfg),
    decode_head=dict(
        type='PSPHead', in_channels=2048, in_index=3, channels=512, pool_scales=(1, 2, 3, 6), dropout_ratio=0.1,
        num_classes=19, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        type='FCNHead', in_channels=1024, in_index=2, channels=256, num_convs=1, concat_input=False, dropout_ratio=0.1,
        num_classes=19, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
