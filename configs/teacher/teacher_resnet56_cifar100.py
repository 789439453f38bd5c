"""ResNet-56 from scratch -> CIFAR-100 at 32 px: the teacher of configs/amd/resnet56_cifar100.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: supplement, Table 7: 73.44 % for the teacher, trained by CRD on all 50,000 images.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/teacher/teacher_resnet56_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: 240 epochs, SGD, 5e-2, 64 images a step (CRD's).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet56-to-20_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/schedules/crd_240e.py',
    '../_base_/default_runtime.py']

model = _base_.architecture
