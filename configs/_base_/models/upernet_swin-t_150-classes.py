"""UPerNet over a Swin-T for images of 512 x 512 pixels and 150 classes."""
_base_ = ['upernet_swin-t_19-classes.py']

architecture = dict(
    backbone=dict(img_size=(512, 512)), decode_head=dict(num_classes=150), auxiliary_head=dict(num_classes=150))
