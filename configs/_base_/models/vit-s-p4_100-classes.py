"""ViT-S at 32 px with patches of 4 px, 100 classes: 12 layers of 6 heads and 1,536 neurons; 21,376,996 parameters."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', arch='deit-small', img_size=32, patch_size=4),
    head=dict(type='VisionTransformerClsHead', num_classes=100, in_channels=384))
