"""What a user comes with: a network that the host has trained, and what it has noted of it."""

import torch
from mmengine.config import Config

ARCHITECTURE = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', img_size=8, patch_size=4, out_type='avg_featmap',
                  arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=128)),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=32))
PREPROCESSOR = dict(num_classes=10, mean=[77.8] * 3, std=[95.9] * 3, to_rgb=False)
READ = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
CLASSES = tuple(f'digit {i}' for i in range(10))


def save_teacher(weights, path, classes=CLASSES, architecture=ARCHITECTURE, **preprocessor):
    """The weights with what the host notes beside them in a training."""
    loader = dict(dataset=dict(type='CustomDataset', pipeline=READ))
    cfg = Config(dict(model=architecture, data_preprocessor={**PREPROCESSOR, **preprocessor}, train_dataloader=loader,
                      test_dataloader=loader))
    torch.save({**torch.load(weights), 'meta': dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=classes))}, path)
