"""ResNet-56 at 32 px, 100 classes; and a PVT-Ti that sees them at 48 px, 10,780,388 parameters, to be its student.

It has the depths, widths and heads of PVT-Ti (Wang et al. 2021) and the positions of Twins-PCPVT, which are made of the
tokens: MMPretrain has that pyramid alone. Of 48 px its stages have 12 x 12, 6 x 6, 3 x 3 and 2 x 2 tokens; the
first three attend to 3 x 3, as at 224 px all attend to 7 x 7, so the reductions are smaller than PVT's 8, 4, 2 and 1.
"""
_base_ = ['resnet56-to-20_100-classes.py']

student_architecture = dict(
    _delete_=True,
    type='ImageClassifier',
    backbone=dict(
        type='mmamd.Enlarged',
        size=48,  # px
        backbone=dict(
            type='PCPVT',
            arch=dict(
                depths=[2, 2, 2, 2], embed_dims=[64, 128, 320, 512], num_heads=[1, 2, 5, 8], mlp_ratios=[8, 8, 4, 4],
                patch_sizes=[4, 2, 2, 2], strides=[4, 2, 2, 2], sr_ratios=[4, 2, 1, 1]),
            qkv_bias=True,
            norm_cfg=dict(type='LN', eps=1e-6),
            norm_after_stage=[False, False, False, True])),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=512))
# Module of the student, module of the teacher.
connect = [('backbone.backbone.norm_after_stage3', 'backbone.layer3')]
