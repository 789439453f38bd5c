"""ResNet-20 -> ResNet-8 on CIFAR-100 photographs by a distiller that was found before.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: no row; small networks on the paper's data. The paper prints no distiller that it has found; this is the best one
    of a search for this pair, results/2026-11-26_kd_zero.md, there `found, 3`.
Teacher: as configs/kd_zero/search_kd-zero_resnet20_cifar100.py.
Command: tools/dist_train.sh configs/kd_zero/kd-zero_resnet20_cifar100.py 1
    Another distiller: --cfg-options model.losses.found.genome='in:[...] trans:[...|...|...] dist:[...] ...'
Hardware: one CPU core. Hours: not measured.
Schedule: student 12 epochs; SGD, 5e-2, 128 images a step (ours).
Measured: not run. In 12 epochs of 10,000 images it was: results/2026-11-26_kd_zero.md.
"""
_base_ = ['search_kd-zero_resnet20_cifar100.py']

search = None
model = dict(losses=dict(found=dict(
    type='mmamd.GenomeLoss',
    genome='in:[logits] trans:[logsoftmax_N|no|no] dist:[KL] cal:[no] weight:[10] tau:[1]',
    layer=_base_.connect[-1])))
