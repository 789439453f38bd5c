"""Swin-S -> ResNet-50 on ImageNet-1k by ScaleKD, traditional recipe.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: Tables 1, 2, 9 and 15: 79.62 % (teacher 83.02 %, student alone 76.55 %, without logits 79.30 %).
Teacher: MMPretrain's Swin-S, downloaded, as in configs/amd/swin-s_imagenet.py.
Command: tools/dist_train.sh configs/scalekd/swin-s_resnet50_imagenet.py 8
Hardware: 8 GPUs, as in the paper (V100, appendix B.1). Hours: not measured.
Schedule: student 100 epochs; SGD, 1e-1, 256 images a step (Table 10a; steps as in the authors' code).
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-s-p4w7_1000-classes.py',
    '../_base_/models/student_resnet50_1000-classes.py',
    '../_base_/datasets/imagenet_224_plain.py',
    '../_base_/methods/scalekd.py',
    '../_base_/schedules/scalekd_traditional.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='swin-small_16xb64_in1k',  # path, URL or key of MMPretrain's zoo
    losses=dict(scalekd=dict(student_layers=_base_.last_stages, heads=(3, 6))))  # heads: the authors' code
compression = dict(
    student_scale=0.47,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
