"""The training of a ResNet in 100 epochs, as MMPretrain's recipes have it."""
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(base_batch_size=256)  # 8 GPUs x 32
train_cfg = dict(by_epoch=True, max_epochs=100)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60, 90], gamma=0.1)]

# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', interval=-1, save_last=True, filename_tmpl='teacher.pth')]
