"""ViT-B/16 at 224 px, 100 classes: 12 layers of 12 heads and 3,072 neurons."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', arch='b', img_size=224, patch_size=16),
    head=dict(type='VisionTransformerClsHead', num_classes=100, in_channels=768))
