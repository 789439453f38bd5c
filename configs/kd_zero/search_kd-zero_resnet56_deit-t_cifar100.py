"""ResNet-56 -> DeiT-Ti with patches of 8 px on CIFAR-100 by a distiller that KD-Zero searches.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: Table 3 has 78.25 % (teacher 72.34 %, student alone 65.08 %, KD 73.25 %) for a DeiT-Ti of patches of 16 px,
    which sees its images at 224 px. It has ten times the MACs of its teacher; here a student has fewer than that.
Teacher: configs/teacher/teacher_resnet56_cifar100.py, run first.
Command: tools/dist_train.sh configs/kd_zero/search_kd-zero_resnet56_deit-t_cifar100.py 1
Hardware: one GPU. Hours: not measured.
Schedule: 220 distillers, each tried for 15 epochs, then student 300 epochs; AdamW, 5e-4, 64 images a step (the paper's,
    but for the images a step, the warm-up and the cosine, which it does not say).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet56-to-deit-t-p8_100-classes.py',
    '../_base_/datasets/cifar100_32_holdout.py',
    '../_base_/methods/kd_zero.py',
    '../_base_/schedules/kd_zero_vit_300e.py',
    '../_base_/default_runtime.py']

model = dict(
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_resnet56_cifar100/teacher.pth')
compression = dict(
    student_scale=0.73,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
search = dict(layer=_base_.connect[-1])
