"""A small ViT at 32 px, 100 classes: 8 layers of 8 heads and 512 neurons; 1,614,308 parameters."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmamd.MaskedViT', img_size=32, patch_size=4, out_type='avg_featmap',
        arch=dict(embed_dims=128, num_layers=8, num_heads=8, feedforward_channels=512)),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=128))
