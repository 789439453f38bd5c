"""Swin-L -> MobileNet-V1 on ImageNet-1k by ScaleKD, traditional recipe.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: Table 13: 74.21 % (teacher 86.24 %, student alone 69.63 %).
Teacher: MMPretrain's Swin-L, pre-trained on ImageNet-21k, downloaded, as in configs/amd/swin-l_imagenet.py.
Command: tools/dist_train.sh configs/scalekd/swin-l_mobilenet-v1_imagenet.py 8
    It needs timm, which has the student.
Hardware: 8 GPUs, as in the paper (V100, appendix B.1). Hours: not measured.
Schedule: student 100 epochs; SGD, 1e-1, 256 images a step (Table 10a; steps as in the authors' code).
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-l-p4w7_1000-classes.py',
    '../_base_/models/student_mobilenet-v1_1000-classes.py',
    '../_base_/datasets/imagenet_224_plain.py',
    '../_base_/methods/scalekd.py',
    '../_base_/schedules/scalekd_traditional.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='swin-large_in21k-pre-3rdparty_in1k',  # path, URL or key of MMPretrain's zoo
    losses=dict(scalekd=dict(student_layers=_base_.last_stages, heads=(16, 24))))  # heads: the authors' code
compression = dict(
    student_scale=0.02,  # of the teacher's MACs
    scale_by='units',  # so few MACs no Swin-L can be cut to; no candidate is trained
    student_architecture=_base_.student_architecture)
