"""ScaleKD's traditional training of CNNs in 100 epochs (Table 10a); the steps are those of the authors' code."""
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(base_batch_size=256)  # 8 GPUs x 32
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=100),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60, 90], gamma=0.1)])
