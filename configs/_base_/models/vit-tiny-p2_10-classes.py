"""A tiny ViT at 8 px, 10 classes: 8 layers of 8 heads and 256 neurons.

Narrow but deep: 64 heads, so that a tenth of its MACs still leaves some to choose from.
"""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmamd.MaskedViT', img_size=8, patch_size=2, out_type='avg_featmap',
        arch=dict(embed_dims=64, num_layers=8, num_heads=8, feedforward_channels=256)),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=64))
