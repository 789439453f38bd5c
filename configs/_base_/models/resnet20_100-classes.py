"""ResNet-20 at 32 px, 100 classes, 278,324 parameters."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedCifarResNet', depth=20, img_size=32),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64))
