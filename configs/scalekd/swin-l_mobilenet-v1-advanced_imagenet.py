"""Swin-L -> MobileNet-V1 on ImageNet-1k by ScaleKD, advanced recipe.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: Table 3: 75.15 % (teacher 86.24 %, student alone 72.10 %).
Teacher: MMPretrain's Swin-L, pre-trained on ImageNet-21k, downloaded, as in configs/amd/swin-l_imagenet.py.
Command: tools/dist_train.sh configs/scalekd/swin-l_mobilenet-v1-advanced_imagenet.py 32
    It needs timm, which has the student.
Hardware: 32 GPUs, as in the paper (V100, appendix B.1). Hours: not measured.
Schedule: student 300 epochs; Lamb, 5e-3, 2,048 images a step (Table 10b).
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-l-p4w7_1000-classes.py',
    '../_base_/models/student_mobilenet-v1_1000-classes.py',
    '../_base_/datasets/imagenet_224_randaug7.py',
    '../_base_/methods/scalekd.py',
    '../_base_/schedules/scalekd_advanced_cnn.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='swin-large_in21k-pre-3rdparty_in1k',  # path, URL or key of MMPretrain's zoo
    losses=dict(scalekd=dict(student_layers=_base_.last_stages, heads=(16, 24))))  # heads: the authors' code
compression = dict(
    student_scale=0.02,  # of the teacher's MACs
    scale_by='units',  # so few MACs no Swin-L can be cut to; no candidate is trained
    student_architecture=dict(
        _base_.student_architecture,
        backbone=dict(_base_.student_architecture.backbone, drop_path_rate=0.05),  # Table 10b, as the smoothing
        head=dict(_base_.student_architecture.head,
                  loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'))))
