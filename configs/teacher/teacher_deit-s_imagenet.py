"""DeiT-S/16 from scratch -> ImageNet-1k at 224 px: a teacher for configs/amd/deit-s_imagenet.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: no row; the recipe is DeiT's (Touvron et al. 2021), whose result MMPretrain publishes as deit-small_4xb256_in1k.
Weights: none, trained from scratch.
Command: tools/dist_train.sh configs/teacher/teacher_deit-s_imagenet.py 16
Hardware: 16 GPUs. Hours: not measured.
Schedule: 300 epochs, AdamW, 1e-3, 1,024 images a step (DeiT's, as MMPretrain has it).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vit-s-p16_1000-classes.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/deit_300e.py',
    '../_base_/default_runtime.py']

model = dict(**_base_.architecture, init_cfg=_base_.init_cfg)
