"""SegFormer-B0 from scratch -> CamVid at 240 x 180: the teacher of segformer_mit-b0_camvid.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row; a small segmentor on real scenes.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/segmentation/teacher_segformer_mit-b0_camvid.py 1
    Data elsewhere: --cfg-options data_root=/path/to/camvid
Hardware: one CPU core. Hours: not measured; about 1.
Schedule: 1,600 steps; AdamW, 1e-3, 8 images a step, poly (ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/segformer_mit-b0_11-classes.py',
    '../_base_/datasets/camvid_240x180.py',
    '../_base_/segmentation_runtime.py']

model = _base_.architecture

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01), paramwise_cfg=dict(norm_decay_mult=0.0))
auto_scale_lr = dict(base_batch_size=8)  # one process
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1600, val_interval=400)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=1.0, eta_min=1e-5, by_epoch=False, begin=100, end=1600)]

default_hooks = dict(checkpoint=dict(by_epoch=False, interval=400))
# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', by_epoch=False, interval=-1, save_last=True, filename_tmpl='teacher.pth')]
