"""WRN-40-2 from scratch -> CIFAR-100 at 32 px: the teacher of configs/amd/wrn-40-2_cifar100.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: supplement, Table 7: 76.46 % for the teacher, trained by CRD on all 50,000 images.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/teacher/teacher_wrn-40-2_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: 240 epochs, SGD, 5e-2, 64 images a step (CRD's).
Measured: not run.
"""
_base_ = [
    '../_base_/models/wrn-40-2-to-16-2_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/schedules/crd_240e.py',
    '../_base_/default_runtime.py']

model = _base_.architecture
