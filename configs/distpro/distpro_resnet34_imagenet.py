"""ResNet-34 -> ResNet-18 on ImageNet-1k by a process that was searched before, by this pair or another one.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: as configs/distpro/search_distpro_resnet34_imagenet.py.
Teacher: as configs/distpro/search_distpro_resnet34_imagenet.py, which is run first.
Command: tools/dist_train.sh configs/distpro/distpro_resnet34_imagenet.py 8
    The process of the other pair: --cfg-options \\
        model.losses.process.file=work_dirs/search_distpro_resnet50_imagenet/search/process.json
Hardware: 8 GPUs. Hours: not measured.
Schedule: student 100 epochs; SGD, 1e-1, 256 images a step (ours but for the 100 epochs; MMPretrain's for ResNets).
Measured: not run.
"""
_base_ = ['search_distpro_resnet34_imagenet.py']

search = None
model = dict(losses=dict(process=dict(
    type='mmamd.ProcessLoss',
    layers=_base_.connect,
    file='work_dirs/search_distpro_resnet34_imagenet/search/process.json')))
