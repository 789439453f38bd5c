"""VGG-13 -> 34 % of its MACs on CIFAR-100 by AMD, with VGG-8 as its student.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: supplement, Table 7: 74.47 % (teacher 75.38 %, student alone 70.68 %, KD 72.98 %).
Teacher: configs/teacher/teacher_vgg13_cifar100.py, run first.
Command: tools/dist_train.sh configs/amd/vgg13_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: joint stage 240 epochs, student 240; SGD, 5e-2, 64 images a step (CRD's; for the joint stage ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vgg13-to-8_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/amd_filters.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_vgg13_cifar100/teacher.pth')
compression = dict(
    student_scale=0.34,
    # The assistant is a pruned VGG-13, the student VGG-8: no weights are inherited in the last step.
    student_architecture=_base_.student_architecture)

# CRD's protocol, for both stages.
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=64)  # one process
joint = dict(
    train_cfg=dict(by_epoch=True, max_epochs=240),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1)])
student = dict(
    losses=dict(feat=dict(layers=_base_.connect)),  # pairs of modules: its own, the assistant's
    train_cfg=dict(by_epoch=True, max_epochs=240),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1)])
