"""UPerNet over a ViT-B/16 for windows of 512 x 512 pixels and 150 classes."""
_base_ = ['upernet_vit-b_19-classes.py']

architecture = dict(
    backbone=dict(img_size=(512, 512)), decode_head=dict(num_classes=150), auxiliary_head=dict(num_classes=150),
    test_cfg=dict(crop_size=(512, 512), stride=(341, 341)))
