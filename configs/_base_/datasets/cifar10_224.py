"""CIFAR-10 as MMPretrain reads it, at 224 px: 45,000 images to train on, 5,000 held out, 10,000 to test on.

All but what is below is that of CIFAR-100. ``data_root`` holds the original pickles (``cifar-10-batches-py/``);
MMPretrain downloads them if they are absent.
"""
_base_ = ['./cifar100_224.py']

data_root = 'data/cifar10'
data_preprocessor = dict(num_classes=10)
train_dataloader = dict(dataset=dict(dataset=dict(type='CIFAR10')))
val_dataloader = dict(dataset=dict(dataset=dict(type='CIFAR10')))
test_dataloader = dict(dataset=dict(type='CIFAR10'))
