"""MMPretrain's ResNet-18 at 224 px, 1,000 classes, to be a student: 11,689,512 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, num_stages=4, out_indices=(3,), style='pytorch'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=512))
