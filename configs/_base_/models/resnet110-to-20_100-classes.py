"""ResNet-110 at 32 px, 100 classes, 1,736,564 parameters; and ResNet-20, 278,324 parameters, to be its student."""
_base_ = ['resnet56-to-20_100-classes.py']

architecture = dict(backbone=dict(depth=110))
