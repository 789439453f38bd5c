"""SegFormer-B0 -> 15 % of its backbone on CamVid by AMD, within reach of a CPU.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row; a small segmentor on real scenes.
Teacher: configs/segmentation/teacher_segformer_mit-b0_camvid.py, run first.
Command: tools/dist_train.sh configs/segmentation/segformer_mit-b0_camvid.py 1
    Data elsewhere: --cfg-options data_root=/path/to/camvid
Hardware: one CPU core. Hours: not measured.
Schedule: candidates refit in closed form, student 300 steps; AdamW, 1e-3, 8 images a step, poly (ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/segformer_mit-b0_11-classes.py',
    '../_base_/datasets/camvid_240x180.py',
    '../_base_/methods/amd_segmentation_transformers.py',
    '../_base_/segmentation_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_segformer_mit-b0_camvid/teacher.pth')
compression = dict(student_scale=0.15)  # of the backbone: 60 of 400 M MACs; the head keeps its 203 M

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01), paramwise_cfg=dict(norm_decay_mult=0.0))
auto_scale_lr = dict(base_batch_size=8)  # one process
joint = dict(
    train_cfg=dict(max_iters=200, epoch_iters=50),
    param_scheduler=[dict(type='PolyLR', power=1.0, eta_min=1e-5, begin=0, end=200, by_epoch=False)])
student = dict(
    train_cfg=dict(max_iters=300, epoch_iters=50),
    param_scheduler=[dict(type='PolyLR', power=1.0, eta_min=1e-5, begin=0, end=300, by_epoch=False)])
