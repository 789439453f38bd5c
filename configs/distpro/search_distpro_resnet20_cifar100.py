"""ResNet-20 -> ResNet-8 on CIFAR-100 photographs by a process that DistPro searches, within reach of a CPU.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: no row; small networks on the paper's data.
Teacher: what configs/teacher/teacher_resnet20_cifar100.py trains, as model.teacher names it.
Command: tools/dist_train.sh configs/distpro/search_distpro_resnet20_cifar100.py 1
    Data elsewhere: --cfg-options data_root=/path/to/cifar100
Hardware: one CPU core. Hours: not measured.
Schedule: search 12 epochs, student 12 epochs; SGD, 5e-2, 128 images a step (ours; the paper searches for 40).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet20-to-8_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/amd_filters.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='results/teachers/resnet20_cifar100.pth',
    losses=dict(_delete_=True, ce=dict(type='mmamd.TaskLoss', weight=1.0)))  # and the process
compression = dict(
    student_scale=0.31,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
method = dict(type='mmamd.KD')
search = dict(
    type='mmamd.DistProSearch',
    epochs=12,
    lr=0.1,
    loss=dict(layers=_base_.connect))  # ten pathways

train_dataloader = dict(batch_size=128)  # one process
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=128)  # one process
# Cosine to the end, of the search too.
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=12),
    param_scheduler=[dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
