"""Swin-micro -> 10 % of its MACs on CIFAR-100 photographs by AMD, within reach of a CPU.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Teacher: configs/teacher/teacher_swin-micro_cifar100.py, run first.
Command: tools/dist_train.sh configs/amd/swin-micro_cifar100.py 1 --amp
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
Hardware: one CPU core that multiplies in bfloat16; score, joint, select, student and export took 23 minutes.
Schedule: joint stage 3 epochs, student 8; AdamW, 1e-3, 128 images a step; one drawn candidate a step (ours, that of
    configs/amd/vit-micro_cifar100.py).
Measured: results/2026-11-25_swin-micro_resnet20_cifar100.md:
    test top-1 40.06 % at 0.0975 of the MACs (teacher 50.93 %), assistant 0.50 chosen by NPSD; seed 0.
"""
_base_ = [
    '../_base_/models/swin-micro-p2w4_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/amd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_swin-micro_cifar100/teacher.pth',  # path, URL or key of MMPretrain's zoo
    losses=dict(feat=dict(weight=0.1)))  # beta is not published; that of ViT-micro
compression = dict(student_scale=0.10, refit=None)  # as recorded: candidates are trained
custom_hooks = [
    # As recorded, before `smallest_random` was the default. One drawn candidate a step: 1 + 3 x 0.5 units on average,
    # where all nine cost 1 + 3 x 4.5 (the teacher's forward pass = 1, a training step of scale s = 3 s).
    dict(type='mmamd.SandwichSparsityHook', sampler='random', num_random=1),
    dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]

train_dataloader = dict(batch_size=128)  # one process
# Milder than the paper's 3e-3: a few epochs from weights that are already trained.
optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=128)  # one process

# Warm-up over 100 steps, then cosine to the end of the stage. An epoch is 351 steps.
joint = dict(
    train_cfg=dict(max_epochs=3),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(max_epochs=8),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
