"""ResNet-50 that learnt by ScaleKD -> UPerNet on ADE20K by fine-tuning.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: Table 6: 44.50 mIoU (without ScaleKD 42.37).
Weights: the student of configs/scalekd/swin-l_resnet50-advanced_imagenet.py, run first; neck and heads start anew.
Command: tools/dist_train.sh configs/segmentation/transfer_upernet_resnet50_ade20k.py 8
    The student of another run: --cfg-options model.backbone.init_cfg.checkpoint=/path/to/student/student.pth
Hardware: 8 GPUs, as in the paper (V100). Hours: not measured.
Schedule: 160,000 steps; AdamW, 1e-4, 16 images a step, cosine (Table 11b); the warm-up is MMSegmentation's.
Measured: not run.
"""
_base_ = [
    '../_base_/models/upernet_swin-t_150-classes.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/segmentation_transfer_160k.py',
    '../_base_/segmentation_runtime.py']

# Rates fall by 0.9 from stage to stage, from the last one on.
decay = {f'backbone.layer{i}': dict(lr_mult=0.9**(5 - i)) for i in range(1, 5)}
stem = {f'backbone.{name}': dict(lr_mult=0.9**5) for name in ('conv1', 'bn1')}

backbone = dict(
    type='mmpretrain.ResNet', depth=50, num_stages=4, out_indices=(0, 1, 2, 3), style='pytorch',
    norm_cfg=_base_.norm_cfg, init_cfg=dict(
        type='Pretrained', checkpoint='work_dirs/swin-l_resnet50-advanced_imagenet/student/student.pth',
        prefix='backbone.'))
model = {**_base_.architecture, 'backbone': backbone,
         'decode_head': {**_base_.architecture.decode_head, 'in_channels': [256, 512, 1024, 2048]},
         'auxiliary_head': {**_base_.architecture.auxiliary_head, 'in_channels': 1024}}
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={**decay, **stem}))

train_dataloader = dict(batch_size=2)  # per process
auto_scale_lr = dict(base_batch_size=16)  # 8 processes
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=16000))
