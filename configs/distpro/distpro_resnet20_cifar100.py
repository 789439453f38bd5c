"""ResNet-20 -> ResNet-8 on CIFAR-100 photographs by a process that was searched before, replayed over twice its length.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: no row; small networks on the paper's data.
Teacher: as configs/distpro/search_distpro_resnet20_cifar100.py, which is run first.
Command: tools/dist_train.sh configs/distpro/distpro_resnet20_cifar100.py 1
    Another process: --cfg-options model.losses.process.file=/path/to/process.json
    Fewer pathways: --cfg-options model.losses.process.threshold=0.5
    The same without a process: model.losses.process.file=None
Hardware: one CPU core. Hours: not measured.
Schedule: student 24 epochs; SGD, 5e-2, 128 images a step (ours).
Measured: not run.
"""
_base_ = ['search_distpro_resnet20_cifar100.py']

search = None
model = dict(losses=dict(process=dict(
    type='mmamd.ProcessLoss',
    layers=_base_.connect,
    file='work_dirs/search_distpro_resnet20_cifar100/search/process.json')))
student = dict(train_cfg=dict(max_epochs=24))
