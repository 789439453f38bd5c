"""ResNet-56 at 32 px, 100 classes; and a DeiT-Ti with patches of 8 px, 5,398,564 parameters, to be its student."""
_base_ = ['resnet56-to-20_100-classes.py']

student_architecture = dict(
    _delete_=True,
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', arch='deit-tiny', img_size=32, patch_size=8),
    head=dict(type='VisionTransformerClsHead', num_classes=100, in_channels=192))
# Module of the student, module of the teacher.
connect = [('backbone.ln1', 'backbone.layer3')]
