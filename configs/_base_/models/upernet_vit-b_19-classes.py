"""UPerNet over a ViT-B/16 for windows of 512 x 1024 pixels and 19 classes; maps of every third block."""
norm_cfg = dict(type='SyncBN', requires_grad=True)
architecture = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmamd.MaskedViT', arch='base', img_size=(512, 1024), patch_size=16, out_indices=[2, 5, 8, 11],
        out_type='featmap', final_norm=False, drop_path_rate=0.1),
    neck=dict(type='MultiLevelNeck', in_channels=[768] * 4, out_channels=768, scales=[4, 2, 1, 0.5]),
    decode_head=dict(
        type='UPerHead', in_channels=[768] * 4, in_index=[0, 1, 2, 3], pool_scales=(1, 2, 3, 6), channels=512,
        dropout_ratio=0.1, num_classes=19, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        type='FCNHead', in_channels=768, in_index=3, channels=256, num_convs=1, concat_input=False, dropout_ratio=0.1,
        num_classes=19, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 1024), stride=(341, 683)))  # attention over a whole image is too dear
