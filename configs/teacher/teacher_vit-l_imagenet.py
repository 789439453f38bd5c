"""ViT-L/16 of ImageNet-21k -> ImageNet-1k at 224 px by fine-tuning: the teacher of configs/amd/vit-l_imagenet.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: none is quoted: the table of ImageNet is not in the supplement.
Weights: MMPretrain's ViT-L/16, pre-trained on ImageNet-21k and fine-tuned on ImageNet-1k at 384 px (converted from
    Google's release), downloaded; the position embedding is resized. It saw images over 127.5, here over ImageNet's
    mean and deviation, which fine-tuning has to make up for.
Command: tools/dist_train.sh configs/teacher/teacher_vit-l_imagenet.py 8
Hardware: 8 GPUs. Hours: not measured.
Schedule: 20 epochs, AdamW, 1e-4, 512 images a step (ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vit-l-p16_1000-classes.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/finetune_20e.py',
    '../_base_/default_runtime.py']

model = _base_.architecture
load_from = 'vit-large-p16_in21k-pre_3rdparty_in1k-384px'
