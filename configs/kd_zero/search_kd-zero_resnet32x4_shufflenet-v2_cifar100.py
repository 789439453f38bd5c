"""ResNet-32x4 -> ShuffleNetV2 on CIFAR-100 by a distiller that KD-Zero searches.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: Table 3: 77.45 % (teacher 79.42 %, student alone 71.82 %, KD 74.45 %).
Teacher: configs/teacher/teacher_resnet56_cifar100.py, run first with
    --work-dir work_dirs/teacher_resnet32x4_cifar100 --cfg-options model.backbone.depth=32
    model.backbone.stem_channels=32 model.backbone.base_channels=64 model.head.in_channels=256
Command: tools/dist_train.sh configs/kd_zero/search_kd-zero_resnet32x4_shufflenet-v2_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: 220 distillers, each tried for 12 epochs, then student 240 epochs; SGD, 1e-2, 64 images a step (CRD's
    for light networks).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet32x4-to-shufflenet-v2_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/kd_zero.py',
    '../_base_/schedules/kd_zero_crd_240e.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_resnet32x4_cifar100/teacher.pth')
compression = dict(
    student_scale=0.04,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
search = dict(layer=_base_.connect[-1])

optim_wrapper = dict(optimizer=dict(lr=0.01))
