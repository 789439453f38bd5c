"""SegFormer-B0 with a head of 128 channels, for images of 240 x 180 pixels and 11 classes."""
architecture = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmamd.MaskedMiT', img_size=(180, 240), embed_dims=32, num_layers=[2, 2, 2, 2], num_heads=[1, 2, 5, 8],
        drop_path_rate=0.1),
    decode_head=dict(
        type='SegformerHead', in_channels=[32, 64, 160, 256], in_index=[0, 1, 2, 3], channels=128, dropout_ratio=0.1,
        num_classes=11, norm_cfg=dict(type='BN'), align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
