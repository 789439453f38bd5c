"""ResNet-32x4 at 32 px, 100 classes; and a ShuffleNetV2, 1,355,528 parameters, to be its student."""
_base_ = ['resnet32x4-to-8x4_100-classes.py']

student_architecture = dict(
    _delete_=True,
    type='ImageClassifier',
    backbone=dict(type='mmamd.CifarShuffleNetV2'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=1024))
# Module of the student, module of the teacher.
connect = [('backbone.layers.2', 'backbone.layer3')]
