"""ViT-S/16 at 224 px, 100 classes: 12 layers of 6 heads and 1,536 neurons.

MMPretrain calls it 'deit-small'; its arch 'small' is another network (8 layers of width 768).
"""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', arch='deit-small', img_size=224, patch_size=16),
    head=dict(type='VisionTransformerClsHead', num_classes=100, in_channels=384))
