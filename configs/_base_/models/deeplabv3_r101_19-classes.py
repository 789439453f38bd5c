"""DeepLabV3 over a ResNet-101 with dilated stages, output stride 8, for images of 512 x 1024 pixels and 19 classes.

MMSegmentation's deeplabv3_r101-d8, whose checkpoints load.
"""
_base_ = ['psp_r101_19-classes.py']

architecture = dict(
    decode_head=dict(
        _delete_=True, type='ASPPHead', in_channels=2048, in_index=3, channels=512, dilations=(1, 12, 24, 36),
        dropout_ratio=0.1, num_classes=19, norm_cfg=_base_.norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)))
