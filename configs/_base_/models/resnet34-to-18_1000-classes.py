"""ResNet-34 at 224 px, 1,000 classes, 21,797,672 parameters; and ResNet-18, 11,689,512, to be its student."""
architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedResNet', depth=34, num_stages=4, out_indices=(3,), style='pytorch', img_size=224),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=512))
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=512))
# Module of the student, module of the teacher: the ends of the four stages.
connect = [(f'backbone.layer{i}', f'backbone.layer{i}') for i in (1, 2, 3, 4)]
