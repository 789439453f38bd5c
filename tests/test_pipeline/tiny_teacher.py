"""Trains the network of tiny_config.py for two epochs, as the first stage of its pipeline."""
_base_ = ['../../configs/_base_/datasets/digits.py', '../../configs/_base_/default_runtime.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmamd.MaskedViT', img_size=8, patch_size=4, out_type='avg_featmap', drop_path_rate=0.1,
        arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=128)),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=32))

train_dataloader = dict(batch_size=16, dataset=dict(dataset=dict(indices=200)))
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=5e-3, weight_decay=0.05))
train_cfg = dict(by_epoch=True, max_epochs=2)
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)]
