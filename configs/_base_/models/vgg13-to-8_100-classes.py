"""VGG-13 at 32 px, 100 classes, 9,462,180 parameters; and VGG-8, 3,965,028 parameters, to be its student."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedCifarVGG', depth=13, img_size=32),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=512))
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.CifarVGG', depth=8),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=512))
# Module of the student, module of the teacher: the ends of the five stages, maps of 32 x 32 down to 4 x 4.
connect = [(f'backbone.stages.{i}', f'backbone.stages.{i}') for i in range(5)]
