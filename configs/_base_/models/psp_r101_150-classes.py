"""PSPNet over a ResNet-101 with dilated stages, output stride 8, for images of 512 x 512 pixels and 150 classes."""
_base_ = ['psp_r101_19-classes.py']

architecture = dict(
    backbone=dict(img_size=(512, 512)), decode_head=dict(num_classes=150), auxiliary_head=dict(num_classes=150))
