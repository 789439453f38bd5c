"""Fine-tuning a pre-trained network to a teacher in 20 epochs. The paper does not say how its teachers were made."""
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),  # fine-tuning: a thirtieth of the distillation's
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0),
                                    '.relative_position_bias_table': dict(decay_mult=0.0)}),
    clip_grad=dict(max_norm=1.0))
auto_scale_lr = dict(base_batch_size=512)  # 8 GPUs x 64
train_cfg = dict(by_epoch=True, max_epochs=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]

# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', interval=-1, save_last=True, filename_tmpl='teacher.pth')]
