"""timm's MobileNet-V1 at 224 px, 1,000 classes, to be a student: 4,231,976 parameters. MMPretrain has V2 and V3."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='TIMMBackbone', model_name='mobilenetv1_100'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=1024))
last_stages = ('backbone.timm_model.blocks.3', 'backbone.timm_model.blocks.4')  # maps of 14 x 14 and 7 x 7
