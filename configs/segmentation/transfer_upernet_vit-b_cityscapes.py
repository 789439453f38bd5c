"""ViT-B/16 that a run has compressed on ImageNet -> UPerNet on Cityscapes by fine-tuning.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row.
Weights: the student of configs/amd/vit-b_imagenet.py, run first; neck and heads start anew, positions are resized.
Command: tools/dist_train.sh configs/segmentation/transfer_upernet_vit-b_cityscapes.py 4
    The student of another run: --cfg-options model.backbone.run=/path/to/work_dir
Hardware: 4 GPUs. Hours: not measured.
Schedule: 80,000 steps; AdamW, 6e-5, 8 images a step, poly.
Measured: not run.
"""
_base_ = [
    '../_base_/models/upernet_vit-b_19-classes.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/segmentation_finetune_80k.py',
    '../_base_/segmentation_runtime.py']

compressed = dict(
    type='mmamd.CompressedBackbone', run='work_dirs/vit-b_imagenet', img_size=(512, 1024), out_indices=[2, 5, 8, 11],
    out_type='featmap', final_norm=False)
model = {**_base_.architecture, 'backbone': compressed}
auto_scale_lr = dict(base_batch_size=8)  # 4 processes
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=8000))
