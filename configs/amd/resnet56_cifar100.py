"""ResNet-56 -> 32 % of its MACs on CIFAR-100 by AMD, with ResNet-20 as its student.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: supplement, Table 7: 71.95 % (teacher 73.44 %, student alone 69.63 %, KD 70.66 %).
Teacher: configs/teacher/teacher_resnet56_cifar100.py, run first.
Command: tools/dist_train.sh configs/amd/resnet56_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: joint stage 240 epochs, student 240; SGD, 5e-2, 64 images a step (CRD's; for the joint stage ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet56-to-20_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/amd_filters.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_resnet56_cifar100/teacher.pth')
compression = dict(
    student_scale=0.32,
    # The assistant is a pruned ResNet-56, the student ResNet-20: no weights are inherited in the last step.
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
