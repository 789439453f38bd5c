"""ResNet-50 at 224 px, 1,000 classes: 16 bottleneck blocks; 25,557,032 parameters."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedResNet', depth=50, num_stages=4, out_indices=(3,), style='pytorch', img_size=224),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=2048))
