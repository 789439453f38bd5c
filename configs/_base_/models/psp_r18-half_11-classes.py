"""PSPNet over a ResNet-18 of half the width, output stride 8, for images of 240 x 180 pixels and 11 classes."""
norm_cfg = dict(type='BN')
architecture = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmamd.MaskedResNet', depth=18, stem_channels=32, base_channels=32, img_size=(180, 240),
        out_indices=(0, 1, 2, 3), strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
    decode_head=dict(
        type='PSPHead', in_channels=256, in_index=3, channels=64, pool_scales=(1, 2, 3, 6), dropout_ratio=0.1,
        num_classes=11, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        type='FCNHead', in_channels=128, in_index=2, channels=32, num_convs=1, concat_input=False, dropout_ratio=0.1,
        num_classes=11, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
