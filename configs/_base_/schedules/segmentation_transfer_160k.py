"""One network of MMSegmentation by 160,000 steps of AdamW from a pre-trained backbone: warm-up, then cosine.

A config adds the factors of its backbone's rates, by stage or by layer, as keys of paramwise_cfg. Whatever such a key
names has the weight decay, its norms too; heads and necks leave theirs out.
"""
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=1500, end=160000)]
