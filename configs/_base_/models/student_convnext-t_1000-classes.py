"""MMPretrain's ConvNeXt-T at 224 px, 1,000 classes, to be a student: 28,589,128 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='ConvNeXt', arch='tiny', drop_path_rate=0.05),  # of CNNs, Table 10b
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=768, init_cfg=None,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')),
    init_cfg=dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02, bias=0.0))
last_stages = ('backbone.stages.2', 'backbone.stages.3')  # maps of 14 x 14 and 7 x 7; the norm comes after the pooling
