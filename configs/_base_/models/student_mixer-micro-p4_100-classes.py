"""A small MLP-Mixer at 32 px, 100 classes, to be a student: 4 layers over 8 x 8 patches, 318,436 parameters."""
student_architecture = dict(
    type='ImageClassifier',
    backbone=dict(
        type='MlpMixer', img_size=32, patch_size=4,
        arch=dict(embed_dims=128, num_layers=4, tokens_mlp_dims=64, channels_mlp_dims=256)),
    neck=dict(type='GlobalAveragePooling', dim=1),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=128))
last_stages = ('backbone.layers.2', 'backbone.ln1')  # 8 x 8 tokens each
