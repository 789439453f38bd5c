"""ImageNet-1k as imagenet_224.py without mixed images: RandAugment of magnitude 9, erasing, flips and crops."""
_base_ = ['imagenet_224.py']

data_preprocessor = dict(batch_augments=None)
