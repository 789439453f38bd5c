"""ResNet-20 -> 30 % of its MACs on CIFAR-100 photographs by AMD, within reach of a CPU.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network on the paper's data. The student is the pruned network itself.
Teacher: configs/teacher/teacher_resnet20_cifar100.py, run first.
Command: tools/dist_train.sh configs/amd/resnet20_cifar100.py 1
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
Hardware: one CPU core; score, joint, select, student and export took 29 minutes.
Schedule: joint stage 4 epochs, student 12; SGD, 5e-2, 128 images a step; one drawn candidate a step (ours).
Measured: results/2026-11-25_swin-micro_resnet20_cifar100.md:
    test top-1 57.58 % at 0.2994 of the MACs (teacher 62.19 %), assistant 0.60 chosen by NPSD; seed 0.
"""
_base_ = [
    '../_base_/models/resnet20_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/amd_filters.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_resnet20_cifar100/teacher.pth')
compression = dict(student_scale=0.30)
custom_hooks = [
    # As recorded, before `smallest_random` was the default. One drawn candidate a step: 1 + 3 x 0.6 units on average,
    # where all seven cost 1 + 3 x 4.2 (the teacher's forward pass = 1, a training step of scale s = 3 s).
    dict(type='mmamd.SandwichSparsityHook', sampler='random', num_random=1),
    dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]

train_dataloader = dict(batch_size=128)  # one process
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=128)  # one process

# Cosine to the end of the stage.
joint = dict(
    train_cfg=dict(by_epoch=True, max_epochs=4),
    param_scheduler=[dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=12),
    param_scheduler=[dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
