"""ResNet-50 that a run has compressed on ImageNet -> PSPNet on Cityscapes by fine-tuning.

Its last stage alone has all its channels, so that is what the head reads, and there is no auxiliary one.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row.
Weights: the student of configs/amd/resnet50_imagenet.py, run first; the head starts anew, the last stages are dilated.
Command: tools/dist_train.sh configs/segmentation/transfer_psp_resnet50_cityscapes.py 4
    The student of another run: --cfg-options model.backbone.run=/path/to/work_dir
Hardware: 4 GPUs. Hours: not measured.
Schedule: 80,000 steps; AdamW, 6e-5, 8 images a step, poly.
Measured: not run.
"""
_base_ = [
    '../_base_/models/psp_r101_19-classes.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/segmentation_finetune_80k.py',
    '../_base_/segmentation_runtime.py']

compressed = dict(
    type='mmamd.CompressedBackbone', run='work_dirs/resnet50_imagenet', img_size=(512, 1024), strides=(1, 2, 1, 1),
    dilations=(1, 1, 2, 4), norm_cfg=dict(type='SyncBN', requires_grad=True))
model = {**_base_.architecture, 'backbone': compressed, 'auxiliary_head': None,
         'decode_head': {**_base_.architecture.decode_head, 'in_index': 0}}
auto_scale_lr = dict(base_batch_size=8)  # 4 processes
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=8000))
