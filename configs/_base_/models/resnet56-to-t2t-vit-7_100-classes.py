"""ResNet-56 at 32 px, 100 classes; and a T2T-ViT-7 that sees them at 64 px, 4,024,010 parameters, to be its student.

Of 64 px it makes 16 tokens. Its first two layers attend in full, as MMPretrain has them; those of T2T-ViT-7 (Yuan et
al. 2021) are Performers.
"""
_base_ = ['resnet56-to-20_100-classes.py']

student_architecture = dict(
    _delete_=True,
    type='ImageClassifier',
    backbone=dict(
        type='mmamd.Enlarged',
        size=64,  # px
        backbone=dict(
            type='T2T_ViT', img_size=64, embed_dims=256, num_layers=7,
            layer_cfgs=dict(num_heads=4, feedforward_channels=512),
            init_cfg=[dict(type='TruncNormal', layer='Linear', std=0.02),
                      dict(type='Constant', layer='LayerNorm', val=1.0)])),
    head=dict(type='VisionTransformerClsHead', num_classes=100, in_channels=256))
# Module of the student, module of the teacher.
connect = [('backbone.backbone.norm', 'backbone.layer3')]
