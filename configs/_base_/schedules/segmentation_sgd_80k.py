"""MMSegmentation's schedule for CNNs: 80,000 steps of SGD by a power of the time left. A run resumes every 1,000.

A joint stage (method.candidates='joint') has half of them.
"""
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4))
joint = dict(
    train_cfg=dict(max_iters=40000, epoch_iters=1000),
    param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=40000, by_epoch=False)])
student = dict(
    train_cfg=dict(max_iters=80000, epoch_iters=1000),
    param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=80000, by_epoch=False)])
