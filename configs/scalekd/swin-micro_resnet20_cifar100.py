"""Swin-micro -> ResNet-20 on CIFAR-100 photographs by ScaleKD, within reach of a CPU.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: no row; small networks of our own.
Teacher: configs/teacher/teacher_swin-micro_cifar100.py, run first.
Command: tools/dist_train.sh configs/scalekd/swin-micro_resnet20_cifar100.py 1
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
Hardware: one CPU core, or one GPU. Hours: not measured.
Schedule: student 12 epochs; SGD, 1e-1, 128 images a step (ours).
Measured: not run. In 8 epochs of 10,000 images it was: results/2026-11-26_scalekd.md.
"""
_base_ = [
    '../_base_/models/swin-micro-p2w4_100-classes.py',
    '../_base_/models/student_resnet20_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/scalekd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_swin-micro_cifar100/teacher.pth',  # path, URL or key of MMPretrain's zoo
    losses=dict(scalekd=dict(student_layers=_base_.last_stages)))
compression = dict(
    student_scale=0.67,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)

train_dataloader = dict(batch_size=128)  # one process
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=5.0))
auto_scale_lr = dict(base_batch_size=128)  # one process

# Warm-up over 100 steps, then cosine to the end. An epoch is 351 steps.
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=12),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
