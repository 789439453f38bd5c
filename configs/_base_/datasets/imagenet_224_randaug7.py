"""ImageNet-1k as imagenet_224.py without mixed images: RandAugment of magnitude 7, erasing, flips and crops."""
_base_ = ['imagenet_224.py']

data_preprocessor = dict(batch_augments=None)
train_pipeline = [dict(step, magnitude_level=7) if step['type'] == 'RandAugment' else step
                  for step in _base_.train_pipeline]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
