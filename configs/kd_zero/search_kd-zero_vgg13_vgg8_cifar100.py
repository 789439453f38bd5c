"""VGG-13 -> VGG-8 on CIFAR-100 by a distiller that KD-Zero searches.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: Table 3: 75.26 % (teacher 74.64 %, student alone 70.36 %, KD 72.98 %).
Teacher: configs/teacher/teacher_vgg13_cifar100.py, run first.
Command: tools/dist_train.sh configs/kd_zero/search_kd-zero_vgg13_vgg8_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: 220 distillers, each tried for 12 epochs, then student 240 epochs; SGD, 5e-2, 64 images a step (CRD's).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vgg13-to-8_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/kd_zero.py',
    '../_base_/schedules/kd_zero_crd_240e.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_vgg13_cifar100/teacher.pth')
compression = dict(
    student_scale=0.34,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
search = dict(layer=_base_.connect[-1])
