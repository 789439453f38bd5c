"""DeiT's training from scratch in 300 epochs, as MMPretrain's recipes have it, which is Swin's as well.

MMPretrain differs from the paper (Touvron et al. 2021, Table 9) in a warm-up of 20 epochs instead of 5, clipped
gradients, and no repeated augmentation. Its moving average of DeiT-B's weights is left out here.
"""
init_cfg = [
    dict(type='TruncNormal', layer='Linear', std=0.02),
    dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0)]
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),  # 5e-4 for 512 images
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0),
                                    '.relative_position_bias_table': dict(decay_mult=0.0)}),
    clip_grad=dict(max_norm=5.0))
auto_scale_lr = dict(base_batch_size=1024)  # 16 GPUs x 64
train_cfg = dict(by_epoch=True, max_epochs=300)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=20, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=20, convert_to_iter_based=True)]

# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', interval=-1, save_last=True, filename_tmpl='teacher.pth')]
