"""A transformer of KD-Zero on CIFAR-100: section 4.1, but for the images a step, the warm-up and the cosine.

Those it does not say.
"""
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0))
auto_scale_lr = dict(base_batch_size=64)  # one process
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=300),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=20, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=20, convert_to_iter_based=True)])
