"""WRN-40-2 -> WRN-16-2 on CIFAR-100 by a process that was searched before.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: as configs/distpro/search_distpro_wrn-40-2_cifar100.py.
Teacher: as configs/distpro/search_distpro_wrn-40-2_cifar100.py, which is run first.
Command: tools/dist_train.sh configs/distpro/distpro_wrn-40-2_cifar100.py 1
    Another process of four levels: --cfg-options model.losses.process.file=/path/to/process.json
Hardware: one GPU. Hours: not measured.
Schedule: student 240 epochs; SGD, 1e-1, 128 images a step (the authors' code).
Measured: not run.
"""
_base_ = ['search_distpro_wrn-40-2_cifar100.py']

search = None
model = dict(losses=dict(process=dict(
    type='mmamd.ProcessLoss',
    layers=_base_.connect,
    file='work_dirs/search_distpro_wrn-40-2_cifar100/search/process.json')))
