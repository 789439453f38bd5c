"""ResNet-34 -> ResNet-18 on ImageNet-1k by a process that DistPro searches.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: appendix, Table 1: 71.89 %; by the process of ResNet-50 to MobileNet 71.87 %.
Teacher: MMPretrain's ResNet-34, downloaded.
Command: tools/dist_train.sh configs/distpro/search_distpro_resnet34_imagenet.py 8
Hardware: 8 GPUs. Hours: not measured.
Schedule: search 20 epochs, student 100 epochs; SGD, 1e-1, 256 images a step (ours but for the 100 epochs; MMPretrain's
    for ResNets).
Measured: not run.
"""
_base_ = [
    '../_base_/models/resnet34_1000-classes.py',
    '../_base_/models/student_resnet18_1000-classes.py',
    '../_base_/datasets/imagenet_224_plain.py',
    '../_base_/methods/distpro.py',
    '../_base_/default_runtime.py']

# The four stages before their last ReLU, and what the classifier reads: fifteen pathways.
connect = [*((f'backbone.layer{i}.1.relu:in', f'backbone.layer{i}.{last}.relu:in')
             for i, last in ((1, 2), (2, 3), (3, 5), (4, 2))), ('neck', 'neck')]
model = dict(
    architecture=_base_.architecture,
    teacher='resnet34_8xb32_in1k')  # path, URL or key of MMPretrain's zoo
compression = dict(
    student_scale=0.495,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
search = dict(
    type='mmamd.DistProSearch',
    epochs=20,
    lr=0.1,
    loss=dict(layers=connect))

optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(base_batch_size=256)  # 8 GPUs x 32
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=100),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60, 90], gamma=0.1)])
