"""UPerNet over a small ViT, 8 layers of 8 heads and 512 neurons, for images of 240 x 180 pixels and 11 classes."""
norm_cfg = dict(type='BN')
architecture = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmamd.MaskedViT', img_size=(180, 240), patch_size=12, out_indices=[1, 3, 5, 7], out_type='featmap',
        final_norm=False, arch=dict(embed_dims=128, num_layers=8, num_heads=8, feedforward_channels=512)),
    neck=dict(type='MultiLevelNeck', in_channels=[128] * 4, out_channels=64, scales=[4, 2, 1, 0.5]),
    decode_head=dict(
        type='UPerHead', in_channels=[64] * 4, in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6), channels=48,
        dropout_ratio=0.1, num_classes=11, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
