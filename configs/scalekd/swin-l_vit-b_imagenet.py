"""Swin-L -> ViT-B/16 on ImageNet-1k by ScaleKD, advanced recipe.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: Table 3: 85.53 % (teacher 86.24 %, student alone 81.80 %).
Teacher: MMPretrain's Swin-L, pre-trained on ImageNet-21k, downloaded, as in configs/amd/swin-l_imagenet.py.
Command: tools/dist_train.sh configs/scalekd/swin-l_vit-b_imagenet.py 32
Hardware: 32 GPUs, as in the paper (V100, appendix B.1). Hours: not measured.
Schedule: student 300 epochs; AdamW, 1e-3, 1,024 images a step (Table 10b). Without the moving average of the authors'
    code (momentum 1e-4, of ViT-B alone); one of that length is student.average.share=0.03.
Measured: not run.
"""
_base_ = [
    '../_base_/models/swin-l-p4w7_1000-classes.py',
    '../_base_/models/student_vit-b-p16_1000-classes.py',
    '../_base_/datasets/imagenet_224_randaug9.py',
    '../_base_/methods/scalekd.py',
    '../_base_/schedules/scalekd_advanced_vit.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='swin-large_in21k-pre-3rdparty_in1k',  # path, URL or key of MMPretrain's zoo
    losses=dict(scalekd=dict(student_layers=_base_.last_stages, heads=(16, 24))))  # heads: the authors' code
compression = dict(
    student_scale=0.51,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)

train_dataloader = dict(batch_size=32)  # per GPU
