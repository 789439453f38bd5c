"""WRN-40-2 at 32 px, 100 classes, 2,255,156 parameters; and WRN-16-2, 703,284 parameters, to be its student."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedWideResNet', depth=40, widen_factor=2, img_size=32),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=128))
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.WideResNet', depth=16, widen_factor=2),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=128))
# Module of the student, module of the teacher: the ends of the three stages, maps of 32 x 32, 16 x 16 and 8 x 8.
connect = [(f'backbone.stages.{i}', f'backbone.stages.{i}') for i in range(3)]
