"""ResNet-34 at 224 px, 1,000 classes: 16 basic blocks; 21,797,672 parameters."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedResNet', depth=34, num_stages=4, out_indices=(3,), style='pytorch', img_size=224),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=512))
