"""ViT-tiny -> 10 % of its MACs on handwritten digits by AMD: the whole method in minutes on a CPU.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; bundled data, to see every stage at work.
Teacher: configs/teacher/teacher_vit-tiny_digits.py, which the run trains as its first stage.
Command: bash tools/quickstart.sh      (or python tools/train.py configs/amd/vit-tiny_digits.py)
Hardware: two CPU cores; all stages together took 107 s.
Schedule: candidates refit in closed form, student 30 epochs; AdamW, 2e-3, 64 images a step; m = 4 (ours).
Measured: tools/quickstart.sh, once: test top-1 95.77 % at 0.0998 of the MACs (teacher 95.21 %); seed 0. With candidates
    trained jointly for 12 epochs instead, as published (method.candidates=joint): 94.08 %.
"""
_base_ = [
    '../_base_/models/vit-tiny-p2_10-classes.py',
    '../_base_/datasets/digits.py',
    '../_base_/default_runtime.py']

# --- network ---
teacher_config = '{{ fileDirname }}/../teacher/teacher_vit-tiny_digits.py'  # trained first: model.teacher names none
model = dict(
    type='mmamd.AMDDistiller',
    architecture=_base_.architecture,
    teacher=None,
    losses=dict(
        ce=dict(type='mmamd.TaskLoss', weight=1.0),
        logit=dict(type='mmamd.LogitLoss', weight=1.0, temperature=1.0),  # alpha = 1, supplement 5.1
        feat=dict(type='mmamd.FeatureLoss', weight=1.0, layers='auto')))  # beta is not published

# --- candidates and method ---
compression = dict(
    student_scale=0.10,
    num_candidates=4,  # the grid 0.2, 0.4, 0.6, 0.8: half the cost of the paper's nine
    scale_by='flops',
    prune=('head', 'neuron'),
    round_to=1,
    importance=dict(num_images=1024, level='sample', batch_size=64),
    refit=dict(num_images=1024, num_images_candidates=256))
method = dict(type='mmamd.AMD')
custom_hooks = [
    # Of a joint stage: every candidate in every step, as published; the default `smallest_random` would train two.
    dict(type='mmamd.SandwichSparsityHook', sampler='all'),
    dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]

# --- schedules: each stage's section is merged over the top level ---
runner_type = 'mmamd.MultiStepRunner'
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05))
auto_scale_lr = dict(base_batch_size=64)

# Warm-up over two epochs, then cosine to the end of the stage. An epoch is 18 steps. `joint` is of candidates='joint'.
joint = dict(
    train_cfg=dict(by_epoch=True, max_epochs=12),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=36),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=30),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=36),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
