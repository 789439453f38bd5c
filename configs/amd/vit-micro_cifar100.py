"""ViT-micro -> 10 % of its MACs on CIFAR-100 photographs by AMD, within reach of a CPU.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Teacher: data/vit-micro_cifar100.pth. To train one, run configs/teacher/teacher_vit-micro_cifar100.py and add
    --cfg-options model.teacher=work_dirs/teacher_vit-micro_cifar100/teacher.pth
Command: tools/dist_train.sh configs/amd/vit-micro_cifar100.py 2
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
Hardware: two CPU cores; score, joint, student and export took 62 minutes of CPU time, about half of it by the clock.
Schedule: joint stage 3 epochs, student 8; AdamW, 1e-3, 128 images a step; one drawn candidate a step (ours).
Measured: results/2026-11-20_vit-micro_cifar100.md: test top-1 50.48 % at 0.0999 of the MACs (teacher 56.94 %),
    assistant 0.80 chosen by NPSD; seed 0.
"""
_base_ = [
    '../_base_/models/vit-micro-p4_100-classes.py',
    '../_base_/datasets/cifar100_32.py',
    '../_base_/default_runtime.py']

# --- network ---
model = dict(
    type='mmamd.AMDDistiller',
    architecture=_base_.architecture,
    teacher='data/vit-micro_cifar100.pth',  # or what configs/teacher/teacher_vit-micro_cifar100.py trains
    losses=dict(
        ce=dict(type='mmamd.TaskLoss', weight=1.0),
        logit=dict(type='mmamd.LogitLoss', weight=1.0, temperature=1.0),  # alpha = 1, supplement 5.1
        # beta is not published; at first L_feat is near 18 and L_ce near 4: so the terms are of one size
        feat=dict(type='mmamd.FeatureLoss', weight=0.1, layers='auto')))

# --- candidates and method ---
compression = dict(
    student_scale=0.10,
    num_candidates=9,  # m = 9, supplement 5.3: the grid 0.1, 0.2, ..., 0.9
    scale_by='flops',
    prune=('head', 'neuron'),
    round_to=1,
    importance=dict(num_images=2048, level='sample', batch_size=64))
method = dict(type='mmamd.AMD')
custom_hooks = [
    # As recorded, before `smallest_random` was the default. One drawn candidate a step: 1 + 3 x 0.5 units on average,
    # where all nine cost 1 + 3 x 4.5 (the teacher's forward pass = 1, a training step of scale s = 3 s).
    dict(type='mmamd.SandwichSparsityHook', sampler='random', num_random=1),
    dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]

# --- schedules: each stage's section is merged over the top level ---
runner_type = 'mmamd.MultiStepRunner'
optim_wrapper = dict(
    # Milder than the paper's 3e-3: a few epochs from weights that are already trained.
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)}))
auto_scale_lr = dict(base_batch_size=128)  # 2 processes x 64

# Warm-up over 100 steps, then cosine to the end of the stage. An epoch of two processes is 351 steps.
joint = dict(
    train_cfg=dict(by_epoch=True, max_epochs=3),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=8),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
