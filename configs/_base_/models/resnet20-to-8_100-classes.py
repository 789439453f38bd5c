"""ResNet-20 at 32 px, 100 classes, 278,324 parameters; and ResNet-8, 83,892 parameters, to be its student."""
_base_ = ['resnet20_100-classes.py']

student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.CifarResNet', depth=8),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64))
# Module of the student, module of the teacher: the stem and the ends of the three stages.
connect = [(name, name) for name in ('backbone.relu', 'backbone.layer1', 'backbone.layer2', 'backbone.layer3')]
