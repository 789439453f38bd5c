"""ResNet-50 -> 15 % of its MACs on ImageNet-1k by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; the scale is that of the pruned ResNet-101 of its segmentation (supplement, section 7).
Teacher: MMPretrain's ResNet-50, downloaded. To train one, run configs/teacher/teacher_resnet50_imagenet.py and
    add --cfg-options model.teacher=work_dirs/teacher_resnet50_imagenet/teacher.pth
Command: tools/dist_train.sh configs/amd/resnet50_imagenet.py 8
Hardware: 8 GPUs. Hours: not measured.
Schedule: joint stage 100 epochs, student 100; SGD, 1e-1, 256 images a step (ours; a teacher's schedule).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet50_1000-classes.py',
    '../_base_/datasets/imagenet_224_plain.py',
    '../_base_/methods/amd_filters.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='resnet50_8xb32_in1k')  # path, URL, or key of MMPretrain's zoo
compression = dict(student_scale=0.15)

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(base_batch_size=256)  # 8 GPUs x 32
joint = dict(
    train_cfg=dict(by_epoch=True, max_epochs=100),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60, 90], gamma=0.1)])
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=100),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60, 90], gamma=0.1)])
