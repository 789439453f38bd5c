"""PSPNet over a half-width ResNet-18 from scratch -> CamVid at 240 x 180: the teacher of psp_r18_camvid.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row; a small segmentor on real scenes.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/segmentation/teacher_psp_r18_camvid.py 1
    Data elsewhere: --cfg-options data_root=/path/to/camvid
Hardware: one CPU core. Hours: 0.9, of half a core.
Schedule: 1,600 steps; SGD, 5e-2, 8 images a step, poly (ours).
Measured: results/2026-11-26_camvid.md: test mIoU 39.66 % (43.03 % on the frames held out); seed 0.
"""
_base_ = [
    '../_base_/models/psp_r18-half_11-classes.py',
    '../_base_/datasets/camvid_240x180.py',
    '../_base_/segmentation_runtime.py']

model = _base_.architecture

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=8)  # one process
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1600, val_interval=400)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=False, begin=100, end=1600)]

default_hooks = dict(checkpoint=dict(by_epoch=False, interval=400))
# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', by_epoch=False, interval=-1, save_last=True, filename_tmpl='teacher.pth')]
