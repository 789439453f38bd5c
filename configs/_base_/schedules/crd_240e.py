"""CRD's training on CIFAR-100 (Tian et al. 2020, section 4 and its released code), to which AMD's Table 7 compares.

They train on all 50,000 images; here the images that the assistant is chosen on are held out, from teachers too.
"""
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=64)  # one process
train_cfg = dict(by_epoch=True, max_epochs=240)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1)]

# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', interval=-1, save_last=True, filename_tmpl='teacher.pth')]
