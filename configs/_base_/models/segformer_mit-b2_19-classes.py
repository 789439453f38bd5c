"""SegFormer-B2 for images of 512 x 1024 pixels and 19 classes.

MMSegmentation's segformer_mit-b2, whose checkpoints load.
"""
architecture = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmamd.MaskedMiT', img_size=(512, 1024), embed_dims=64, num_layers=[3, 4, 6, 3], num_heads=[1, 2, 5, 8],
        drop_path_rate=0.1),
    decode_head=dict(
        type='SegformerHead', in_channels=[64, 128, 320, 512], in_index=[0, 1, 2, 3], channels=256, dropout_ratio=0.1,
        num_classes=19, norm_cfg=dict(type='SyncBN', requires_grad=True), align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
