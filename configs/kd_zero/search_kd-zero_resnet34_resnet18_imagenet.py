"""ResNet-34 -> ResNet-18 on ImageNet-1k by a distiller that KD-Zero searches.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: Table 4: 72.17 % (teacher 73.40 %, student alone 69.75 %, KD 70.66 %).
Teacher: MMPretrain's ResNet-34, downloaded.
Command: tools/dist_train.sh configs/kd_zero/search_kd-zero_resnet34_resnet18_imagenet.py 1
Hardware: one GPU. Hours: not measured.
Schedule: 220 distillers, each tried for 5 epochs of 128,000 images, then student 100 epochs; SGD, 1e-1, 256 images a
    step (the paper's, which does not say how many images).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet34_1000-classes.py',
    '../_base_/models/student_resnet18_1000-classes.py',
    '../_base_/datasets/imagenet_224_plain.py',
    '../_base_/methods/kd_zero.py',
    '../_base_/schedules/scalekd_traditional.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='resnet34_8xb32_in1k')
compression = dict(
    student_scale=0.5,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
search = dict(layer=('backbone.layer4', 'backbone.layer4'), proxy_images=128000)

train_dataloader = dict(batch_size=256)  # one process, as a search takes
