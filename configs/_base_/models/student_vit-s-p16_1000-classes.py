"""MMPretrain's ViT-S/16 at 224 px, 1,000 classes, to be a student: 22,050,664 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', arch='deit-small', img_size=224, patch_size=16, drop_path_rate=0.1),  # 10b
    head=dict(type='VisionTransformerClsHead', num_classes=1000, in_channels=384,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')),
    init_cfg=[dict(type='TruncNormal', layer='Linear', std=0.02),
              dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0)])
last_stages = ('backbone.layers.8', 'backbone.ln1')  # the third of four parts of its 12 layers, and the end
