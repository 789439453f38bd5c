"""ScaleKD's advanced training of ViTs in 300 epochs (Table 10b, third column).

The table prints 0.009 for the second beta, surely 0.999. Gradients are clipped as in the authors' code; that biases,
norms and positions do not decay is MMPretrain's habit.
"""
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0),
                                    '.relative_position_bias_table': dict(decay_mult=0.0)}),
    clip_grad=dict(max_norm=5.0))
auto_scale_lr = dict(base_batch_size=1024)  # 32 GPUs x 32
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=300),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=20, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=20, end=300, convert_to_iter_based=True)])
