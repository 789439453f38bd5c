"""ViT-S/4 -> 10 % of its MACs on CIFAR-100 at 32 px by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; a network of the paper's size on the paper's data, at 32 px.
Teacher: configs/teacher/teacher_vit-s-p4_cifar100.py, run first.
Command: tools/train.py configs/amd/vit-s-p4_cifar100.py --amp --cfg-options optim_wrapper.dtype=bfloat16
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
Hardware: one H100. Hours: not measured.
Schedule: candidates refit in closed form, student 8 epochs; AdamW, 1e-3, 128 images a step (that of
    configs/amd/vit-micro_cifar100.py).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vit-s-p4_100-classes.py',
    '../_base_/datasets/cifar100_32.py',
    '../_base_/methods/amd.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_vit-s-p4_cifar100/teacher.pth',  # path, URL or key of MMPretrain's zoo
    losses=dict(feat=dict(weight=0.1)))  # beta is not published; that of ViT-micro
compression = dict(student_scale=0.10)

train_dataloader = dict(batch_size=128)  # one process
# Milder than the paper's 3e-3: a few epochs from weights that are already trained.
optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=128)  # one process

# Warm-up over 100 steps, then cosine to the end of the stage. An epoch is 351 steps.
joint = dict(  # for candidates='joint'
    train_cfg=dict(max_epochs=3),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(max_epochs=8),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
        dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
