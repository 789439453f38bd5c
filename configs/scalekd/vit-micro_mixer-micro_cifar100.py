"""ViT-micro -> Mixer-micro on CIFAR-100 photographs by ScaleKD, within reach of a CPU.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: no row; small networks of our own.
Teacher: data/vit-micro_cifar100.pth. To train one, run configs/teacher/teacher_vit-micro_cifar100.py and add
    --cfg-options model.teacher=work_dirs/teacher_vit-micro_cifar100/teacher.pth
Command: tools/dist_train.sh configs/scalekd/vit-micro_mixer-micro_cifar100.py 1
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
Hardware: one CPU core, or one GPU. Hours: not measured.
Schedule: student 12 epochs; AdamW, 1e-3, 128 images a step (ours).
Measured: not run. In 8 epochs of 10,000 images it was: results/2026-11-26_scalekd.md.
"""
_base_ = [
    '../_base_/models/vit-micro-p4_100-classes.py',
    '../_base_/models/student_mixer-micro-p4_100-classes.py',
    '../_base_/datasets/cifar100_32.py',
    '../_base_/methods/scalekd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='data/vit-micro_cifar100.pth',  # or what configs/teacher/teacher_vit-micro_cifar100.py trains
    losses=dict(scalekd=dict(student_layers=_base_.last_stages)))
compression = dict(
    student_scale=0.19,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)

train_dataloader = dict(batch_size=128)  # one process
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0))
auto_scale_lr = dict(base_batch_size=128)  # one process

# Warm-up over 100 steps, then cosine to the end. An epoch is 351 steps.
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=12),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
