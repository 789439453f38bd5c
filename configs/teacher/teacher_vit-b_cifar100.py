"""ViT-B/16 of ImageNet-21k -> CIFAR-100 at 224 px by fine-tuning: the teacher of configs/amd/vit-b_cifar100.py.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Row: supplement, Table 5: 89.33 % for the teacher.
Weights: MMPretrain's ViT-B/16, pre-trained on ImageNet-21k and fine-tuned on ImageNet-1k at 384 px (converted from
    Google's release), downloaded; the position embedding is resized, the classifier starts anew.
Command: tools/dist_train.sh configs/teacher/teacher_vit-b_cifar100.py 8
Hardware: 8 GPUs. Hours: not measured.
Schedule: 20 epochs, AdamW, 1e-4, 512 images a step (ours).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vit-b-p16_100-classes.py',
    '../_base_/datasets/cifar100_224.py',
    '../_base_/schedules/finetune_20e.py',
    '../_base_/default_runtime.py']

model = _base_.architecture
# The log lists the classifier's classes as a size mismatch: that layer starts anew.
load_from = 'vit-base-p16_in21k-pre_3rdparty_in1k-384px'
