"""Swin-T that a run has compressed on ImageNet -> UPerNet on Cityscapes by fine-tuning.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row.
Weights: the student of configs/amd/swin-t_imagenet.py, run first; heads and the norms of the first stages start anew.
Command: tools/dist_train.sh configs/segmentation/transfer_upernet_swin-t_cityscapes.py 4
    The student of another run: --cfg-options model.backbone.run=/path/to/work_dir
Hardware: 4 GPUs. Hours: not measured.
Schedule: 80,000 steps; AdamW, 6e-5, 8 images a step, poly.
Measured: not run.
"""
_base_ = [
    '../_base_/models/upernet_swin-t_19-classes.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/segmentation_finetune_80k.py',
    '../_base_/segmentation_runtime.py']

compressed = dict(
    type='mmamd.CompressedBackbone', run='work_dirs/swin-t_imagenet', img_size=(512, 1024), out_indices=(0, 1, 2, 3))
model = {**_base_.architecture, 'backbone': compressed}
auto_scale_lr = dict(base_batch_size=8)  # 4 processes
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=8000))
