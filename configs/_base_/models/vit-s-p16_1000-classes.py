"""ViT-S/16 at 224 px, 1,000 classes: 12 layers of 6 heads and 1,536 neurons. DeiT-S is the same network."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', arch='deit-small', img_size=224, patch_size=16),
    head=dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=384,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
