"""What a user has who has never seen mmamd: pictures in folders, and the config of a ViT for MMPretrain's train.py."""

import cv2

from mmamd.datasets import Digits

EPOCHS = 25
CONFIG = f"""
default_scope = 'mmpretrain'
read = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
loader = dict(batch_size=64, num_workers=0, persistent_workers=False, collate_fn=dict(type='default_collate'))
train_dataloader = dict(**loader, sampler=dict(type='DefaultSampler', shuffle=True),
                        dataset=dict(type='CustomDataset', data_root='digits/train', pipeline=read))
val_dataloader = dict(**loader, sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(type='CustomDataset', data_root='digits/test', pipeline=read))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1,))
train_cfg, val_cfg, test_cfg = dict(by_epoch=True, max_epochs={EPOCHS}, val_interval={EPOCHS}), dict(), dict()
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.05))
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
data_preprocessor = dict(num_classes=10, mean=[77.8] * 3, std=[95.9] * 3, to_rgb=True)
model = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', img_size=8, patch_size=2, out_type='avg_featmap',
                  arch=dict(embed_dims=48, num_layers=3, num_heads=6, feedforward_channels=192)),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=48, loss=dict(type='CrossEntropyLoss')))
randomness = dict(seed=0)
"""


def write_digits(folder):
    """Digits as ``folder/train/CLASS/*.png`` and ``folder/test/CLASS/*.png``."""
    for split in ('train', 'test'):
        digits = Digits(split=split)
        for i in range(len(digits)):
            sample = digits[i]
            place = folder / split / f'digit {sample["gt_label"]}'
            place.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(place / f'{i:04d}.png'), sample['img'])
