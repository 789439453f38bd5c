"""ResNet-20 -> ResNet-8 on CIFAR-100 photographs by a distiller that KD-Zero searches, within reach of a CPU.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: no row; small networks on the paper's data.
Teacher: what configs/teacher/teacher_resnet20_cifar100.py trains, as model.teacher names it.
Command: tools/dist_train.sh configs/kd_zero/search_kd-zero_resnet20_cifar100.py 1
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
    Without the search by chance beside it, at half of the cost: --cfg-options search.random=False
Hardware: one CPU core. Hours: not measured.
Schedule: 64 distillers, each tried for an epoch of 22,528 images, then student 12 epochs; SGD, 5e-2, 128 images a step
    (ours; the paper tries 220 for 12 epochs of all images).
Measured: not run. A shorter search was: results/2026-11-26_kd_zero.md.
"""
_base_ = [
    '../_base_/models/resnet20-to-8_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/amd_filters.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='results/teachers/resnet20_cifar100.pth',
    losses=dict(_delete_=True, ce=dict(type='mmamd.TaskLoss', weight=1.0)))  # and what is found
compression = dict(
    student_scale=0.31,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
method = dict(type='mmamd.KD')
search = dict(
    type='mmamd.KDZeroSearch',
    evolution=dict(evaluations=64, population=16),
    layer=_base_.connect[-1],
    proxy_epochs=1,
    proxy_images=22528,  # 176 steps
    random=True)  # beside it

train_dataloader = dict(batch_size=128)  # one process
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=128)  # one process
# Cosine to the end, of the proxies too.
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=12),
    param_scheduler=[dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
