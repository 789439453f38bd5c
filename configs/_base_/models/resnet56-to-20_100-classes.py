"""ResNet-56 at 32 px, 100 classes, 861,620 parameters; and ResNet-20, 278,324 parameters, to be its student."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedCifarResNet', depth=56, img_size=32),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64))
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.CifarResNet', depth=20),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64))
# Module of the student, module of the teacher: the ends of the three stages, maps of 32 x 32, 16 x 16 and 8 x 8.
connect = [(f'backbone.layer{i}', f'backbone.layer{i}') for i in (1, 2, 3)]
