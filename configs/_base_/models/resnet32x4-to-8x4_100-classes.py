"""CRD's ResNet-32x4 at 32 px, 100 classes, 7,433,860 parameters; and its ResNet-8x4, 1,233,540, to be its student."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedCifarResNet', depth=32, stem_channels=32, base_channels=64, img_size=32),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=256))
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.CifarResNet', depth=8, stem_channels=32, base_channels=64),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=256))
# Module of the student, module of the teacher: the ends of the three stages, maps of 32 x 32, 16 x 16 and 8 x 8.
connect = [(f'backbone.layer{i}', f'backbone.layer{i}') for i in (1, 2, 3)]
