"""ScaleKD's advanced training of CNNs in 300 epochs (Table 10b, first column).

The table prints 0.009 for the second beta, surely 0.999. Gradients are clipped as in the authors' code.
"""
optim_wrapper = dict(
    optimizer=dict(type='Lamb', lr=5e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.02),
    clip_grad=dict(max_norm=5.0))
auto_scale_lr = dict(base_batch_size=2048)  # 32 GPUs x 64
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=300),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-4, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=True, begin=5, end=300, convert_to_iter_based=True)])
