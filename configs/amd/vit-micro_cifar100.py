"""ViT-micro -> 10 % of its MACs on CIFAR-100 photographs by AMD, within reach of a CPU.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a small network of our own on the paper's data.
Teacher: data/vit-micro_cifar100.pth. To train one, run configs/teacher/teacher_vit-micro_cifar100.py and add
    --cfg-options model.teacher=work_dirs/teacher_vit-micro_cifar100/teacher.pth
Command: tools/dist_train.sh configs/amd/vit-micro_cifar100.py 2
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
Hardware: one CPU core that multiplies in bfloat16, shared with other programs; score to export took 45 minutes.
Schedule: candidates refit in closed form, student at the cost of 8 epochs of plain distillation, by an assistant that
    is asked once for two views of an image, without a loss of the labels: 24 epochs; AdamW, 1e-3, 128 images a step
    (ours).
Measured: results/2026-11-27_vit-micro_cifar100.md:
    test top-1 52.85 % at 0.0999 of the MACs (teacher 56.94 %), assistant 0.90 chosen by NPSD; seed 0.
"""
_base_ = [
    '../_base_/models/vit-micro-p4_100-classes.py',
    '../_base_/datasets/cifar100_32.py',
    '../_base_/methods/amd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='data/vit-micro_cifar100.pth',  # or what configs/teacher/teacher_vit-micro_cifar100.py trains
    # Views come again, and so would their labels; hidden states are not kept. 1.0 and 0.1 where the assistant is asked
    # in every step.
    losses=dict(ce=dict(weight=0.0), feat=dict(weight=0.0)))
compression = dict(student_scale=0.10, budget=1.0)  # 1.0: the cost of plain distillation by the schedule of `student`
teacher_cache = dict(views=2)  # of an image; each is asked for once, by whichever stage comes to it first
custom_hooks = [  # asked once a view, a small assistant spares little, and a large one knows more
    dict(type='mmamd.SandwichSparsityHook', sampler='smallest_random', num_random=1),  # of a joint stage
    dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]

# Milder than the paper's 3e-3: a few epochs from weights that are already trained.
optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=128)  # 2 processes x 64

# Warm-up over 100 steps, then cosine to the end of the stage. An epoch of two processes is 351 steps.
joint = dict(  # for candidates='joint'
    train_cfg=dict(max_epochs=3),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(max_epochs=8),  # what a budget is counted in
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
