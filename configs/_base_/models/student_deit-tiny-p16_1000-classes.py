"""MMPretrain's DeiT-Tiny/16 at 224 px, 1,000 classes, to be a student: 5,717,416 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', arch='deit-tiny', img_size=224, patch_size=16, drop_path_rate=0.1),
    head=dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=192,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')),
    init_cfg=[dict(type='TruncNormal', layer='Linear', std=0.02),
              dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0)])
