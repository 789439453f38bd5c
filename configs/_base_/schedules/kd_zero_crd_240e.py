"""The student of KD-Zero on CIFAR-100: CRD's protocol, whose figures its Table 3 compares with.

The text of the paper has a rate of 0.1 that decays after 100 and 150 epochs; its Figure 6 has three decays.
"""
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=64)  # one process
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=240),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1)])
