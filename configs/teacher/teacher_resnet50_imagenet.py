"""ResNet-50 from scratch -> ImageNet-1k at 224 px: a teacher for configs/amd/resnet50_imagenet.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; the recipe is MMPretrain's, which publishes its result as resnet50_8xb32_in1k.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/teacher/teacher_resnet50_imagenet.py 8
Hardware: 8 GPUs. Hours: not measured.
Schedule: 100 epochs, SGD, 1e-1, 256 images a step (MMPretrain's).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet50_1000-classes.py',
    '../_base_/datasets/imagenet_224_plain.py',
    '../_base_/schedules/resnet_100e.py',
    '../_base_/default_runtime.py']

model = _base_.architecture
