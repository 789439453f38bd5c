"""PSPNet over a small ResNet-18 from scratch -> generated street scenes: the teacher of psp_r18_scenes.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row; generated scenes, to see every stage at work.
Weights: none, trained from scratch.
Command: python tools/train.py configs/segmentation/teacher_psp_r18_scenes.py      (the compression trains it by itself)
Hardware: one CPU core. Minutes: not measured.
Schedule: 15 epochs; SGD, 5e-2, 8 images a step, poly (ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/psp_r18-quarter_4-classes.py',
    '../_base_/datasets/street_scenes_64x48.py',
    '../_base_/segmentation_runtime.py']

model = _base_.architecture

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=8)
train_cfg = dict(by_epoch=True, max_epochs=15)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=40),  # two epochs of 20 steps
    dict(type='PolyLR', power=0.9, eta_min=1e-4, by_epoch=True, convert_to_iter_based=True)]
