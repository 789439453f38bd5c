"""ViT-B/16 that learnt by ScaleKD -> CIFAR-100 by a linear probe: the network stays, a linear head is trained on it.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: Table 12 has 89.11 % with all images and 48.14 % with one of each class for a ViT-B/14 of BEiT-L/14 (from scratch
    81.76 and 33.86 %). All are the 45,000 here that are not held out.
Weights: the student of configs/scalekd/swin-l_vit-b_imagenet.py, run first.
Command: tools/dist_train.sh configs/scalekd/transfer_vit-b_cifar100.py 1
    The student of another run: --cfg-options model.backbone.init_cfg.checkpoint=/path/to/student/student.pth
    Few images of each class: --cfg-options train_dataloader.dataset.shots=5
Hardware: one GPU. Hours: not measured.
Schedule: 5,000 steps; SGD, 1e-1, no weight decay, 256 images a step, cosine (ours; the paper says nothing of it).
Measured: not run.
"""
_base_ = [
    '../_base_/models/student_vit-b-p16_1000-classes.py',
    '../_base_/datasets/cifar100_224.py',
    '../_base_/datasets/imagenet_normalisation.py',
    '../_base_/default_runtime.py']

data_preprocessor = _base_.normalisation
model = dict(
    type='ImageClassifier',
    backbone={**_base_.student_architecture.backbone, 'frozen_stages': 12, 'drop_path_rate': 0., 'init_cfg': dict(
        type='Pretrained', checkpoint='work_dirs/swin-l_vit-b_imagenet/student/student.pth', prefix='backbone.')},
    head=dict(type='VisionTransformerClsHead', num_classes=100, in_channels=768, loss=dict(type='CrossEntropyLoss')))

train_dataloader = dict(
    batch_size=256, drop_last=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),  # few images come again until they fill a batch
    dataset=dict(_delete_=True, type='mmamd.FewShot', shots=None, dataset=_base_.train_dataloader.dataset))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.))
auto_scale_lr = dict(base_batch_size=256)  # one process
train_cfg = dict(by_epoch=False, max_iters=5000, val_interval=1000)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False)]
log_processor = dict(by_epoch=False)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))
