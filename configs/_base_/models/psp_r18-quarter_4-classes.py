"""PSPNet over a ResNet-18 of a quarter of the width, output stride 8, for images of 64 x 48 pixels and 4 classes."""
_base_ = ['psp_r18-half_11-classes.py']

architecture = dict(
    backbone=dict(stem_channels=16, base_channels=16, img_size=(48, 64)),
    decode_head=dict(in_channels=128, channels=32, pool_scales=(1, 2), num_classes=4),
    auxiliary_head=dict(in_channels=64, channels=16, num_classes=4))
