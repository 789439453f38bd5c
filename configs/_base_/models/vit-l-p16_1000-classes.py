"""ViT-L/16 at 224 px, 1,000 classes: 24 layers of 16 heads and 4,096 neurons."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', arch='l', img_size=224, patch_size=16),
    head=dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=1024,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
