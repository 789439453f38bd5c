"""WRN-40-2 -> WRN-16-2 on CIFAR-100 by a process that DistPro searches.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: 77.54 % (ReviewKD 77.21 %), after a note on the main paper; the appendix has no CIFAR-100.
Teacher: configs/teacher/teacher_wrn-40-2_cifar100.py, run first.
Command: tools/dist_train.sh configs/distpro/search_distpro_wrn-40-2_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: search 40 epochs, student 240 epochs; SGD, 1e-1, 128 images a step (the authors' code).
Measured: not run.
"""
_base_ = [
    '../_base_/models/wrn-40-2-to-16-2_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/distpro.py',
    '../_base_/default_runtime.py']

# The stem and the ends of the three stages, all before a ReLU: ten pathways.
connect = [(name, name) for name in ('backbone.conv1', 'backbone.stages.0', 'backbone.stages.1', 'backbone.stages.2')]
model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_wrn-40-2_cifar100/teacher.pth')
compression = dict(
    student_scale=0.31,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
search = dict(
    type='mmamd.DistProSearch',
    epochs=40,
    lr=0.1,
    loss=dict(layers=connect))

train_dataloader = dict(batch_size=128)  # one process
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=128)  # one process
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=240),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1)])
