"""MMPretrain's MLP-Mixer-S/16 at 224 px, 1,000 classes, to be a student: 18,528,264 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(type='MlpMixer', arch='s', img_size=224, patch_size=16, drop_path_rate=0.1,  # Table 10b
                  init_cfg=[dict(type='Kaiming', layer='Conv2d', mode='fan_in', nonlinearity='linear')]),
    neck=dict(type='GlobalAveragePooling', dim=1),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=512,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
last_stages = ('backbone.layers.5', 'backbone.ln1')  # the third of four parts of its 8 layers, and the end
