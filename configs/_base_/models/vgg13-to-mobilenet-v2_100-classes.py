"""VGG-13 at 32 px, 100 classes; and a MobileNetV2 of half its width, 815,780 parameters, to be its student."""
_base_ = ['vgg13-to-8_100-classes.py']

student_architecture = dict(
    _delete_=True,
    type='ImageClassifier',
    backbone=dict(type='mmamd.CifarMobileNetV2', widen_factor=0.5),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=1280))
# Module of the student, module of the teacher.
connect = [('backbone.layer7', 'backbone.stages.4')]
