"""ResNet-20 at 32 px, 100 classes, to be a student: 278,324 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.CifarResNet', depth=20),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64))
last_stages = ('backbone.layer2', 'backbone.layer3')  # maps of 16 x 16 and 8 x 8
