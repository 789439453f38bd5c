"""Swin-L -> ResNet-50 on ImageNet-1k by ScaleKD, traditional recipe.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: Table 2: 80.10 % (teacher 86.24 %, student alone 76.55 %).
Teacher: MMPretrain's Swin-L, pre-trained on ImageNet-21k, downloaded, as in configs/amd/swin-l_imagenet.py.
Command: tools/dist_train.sh configs/scalekd/swin-l_resnet50_imagenet.py 8
Hardware: 8 GPUs, as in the paper (V100, appendix B.1). Hours: not measured.
Schedule: student 100 epochs; SGD, 1e-1, 256 images a step (Table 10a; steps as in the authors' code).
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-l-p4w7_1000-classes.py',
    '../_base_/models/student_resnet50_1000-classes.py',
    '../_base_/datasets/imagenet_224_plain.py',
    '../_base_/methods/scalekd.py',
    '../_base_/schedules/scalekd_traditional.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='swin-large_in21k-pre-3rdparty_in1k',  # path, URL or key of MMPretrain's zoo
    losses=dict(scalekd=dict(student_layers=_base_.last_stages, heads=(16, 24))))  # heads: the authors' code
compression = dict(
    student_scale=0.12,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
