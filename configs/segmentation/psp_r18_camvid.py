"""PSPNet over a half-width ResNet-18 -> 15 % of its backbone on CamVid by AMD, within reach of a CPU.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row; a small segmentor on real scenes.
Teacher: configs/segmentation/teacher_psp_r18_camvid.py, run first.
Command: tools/dist_train.sh configs/segmentation/psp_r18_camvid.py 1
    Data elsewhere: --cfg-options data_root=/path/to/camvid
Hardware: one CPU core that multiplies in bfloat16, shared with other programs; score to export took 11 to 19 minutes.
Schedule: candidates refit in closed form, student 450 steps: what one and a half times the cost of 300 steps of plain
    distillation leaves; SGD, 2e-2, 8 images a step, poly (ours).
Measured: results/2026-11-26_camvid.md: test mIoU 38.44 % (teacher 39.66 %), the mean of seeds 0, 1 and 2, with --amp.
"""
_base_ = [
    '../_base_/models/psp_r18-half_11-classes.py',
    '../_base_/datasets/camvid_240x180.py',
    '../_base_/methods/amd_segmentation.py',
    '../_base_/segmentation_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_psp_r18_camvid/teacher.pth')
compression = dict(
    student_scale=0.15,  # of the backbone: 307 of 2,050 M MACs; the heads keep their 205 M
    num_candidates=4,
    budget=1.5,
    # Of 297 training images.
    importance=dict(num_images=128),
    refit=dict(num_images=128, num_images_candidates=64))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=8)  # one process
joint = dict(
    train_cfg=dict(max_iters=200, epoch_iters=50),
    param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=200, by_epoch=False)])
student = dict(
    train_cfg=dict(max_iters=300, epoch_iters=50),
    param_scheduler=[dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=300, by_epoch=False)])
