"""UPerNet over a Swin-T of ImageNet -> Cityscapes by fine-tuning: the teacher of upernet_swin-t_cityscapes.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row.
Weights: MMPretrain's Swin-T, trained on ImageNet-1k, downloaded; heads start anew.
Command: tools/dist_train.sh configs/segmentation/teacher_upernet_swin-t_cityscapes.py 4
    Data elsewhere: --cfg-options data_root=/path/to/cityscapes
Hardware: 4 GPUs. Hours: not measured.
Schedule: 80,000 steps; AdamW, 6e-5, 8 images a step, poly.
Measured: not run.
"""
_base_ = [
    '../_base_/models/upernet_swin-t_19-classes.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/segmentation_finetune_80k.py',
    '../_base_/segmentation_runtime.py']

model = _base_.architecture
load_from = 'swin-tiny_16xb64_in1k'
auto_scale_lr = dict(base_batch_size=8)  # 4 processes
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=8000))
# Written once, at the end: an unfinished teacher cannot be distilled by mistake.
custom_hooks = [dict(type='CheckpointHook', by_epoch=False, interval=-1, save_last=True, filename_tmpl='teacher.pth')]
