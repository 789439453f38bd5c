"""MMPretrain's ResNet-50 at 224 px, 1,000 classes, to be a student: 25,557,032 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=50, num_stages=4, out_indices=(3,), style='pytorch'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=2048))
last_stages = ('backbone.layer3', 'backbone.layer4')  # maps of 14 x 14 and 7 x 7
