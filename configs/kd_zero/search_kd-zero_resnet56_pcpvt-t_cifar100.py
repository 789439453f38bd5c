"""ResNet-56 -> PVT-Ti at 48 px, with the positions of Twins-PCPVT, on CIFAR-100 by a distiller that KD-Zero searches.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: Table 3 has 77.22 % (teacher 72.34 %, student alone 69.22 %, KD 73.68 %) for PVT-Ti, whose positions are learned,
    and which sees its images at 224 px. It has fifteen times the MACs of its teacher; here a student has fewer than
    that, and sees 48 px.
Teacher: configs/teacher/teacher_resnet56_cifar100.py, run first.
Command: tools/dist_train.sh configs/kd_zero/search_kd-zero_resnet56_pcpvt-t_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: 220 distillers, each tried for 15 epochs, then student 300 epochs; AdamW, 5e-4, 64 images a step (the paper's,
    but for the images a step, the warm-up and the cosine, which it does not say).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet56-to-pcpvt-t_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/kd_zero.py',
    '../_base_/schedules/kd_zero_vit_300e.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_resnet56_cifar100/teacher.pth')
compression = dict(
    student_scale=0.79,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
search = dict(layer=_base_.connect[-1])
