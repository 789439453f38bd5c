"""MMPretrain's Swin-T at 224 px, 1,000 classes, to be a student: 28,288,354 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='SwinTransformer', arch='tiny', img_size=224, drop_path_rate=0.1),  # of ViTs, Table 10b
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=768, init_cfg=None,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')),
    init_cfg=[dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
              dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0)])
last_stages = ('backbone.stages.2.blocks.5', 'backbone.norm3')  # 14 x 14 and 7 x 7 tokens
