"""ViT-B/16 that learnt by ScaleKD -> UPerNet on ADE20K by fine-tuning.

Paper: ScaleKD: Strong Vision Transformers Could Be Excellent Teachers, NeurIPS 2024.
Row: Table 6: 50.84 mIoU (without ScaleKD 46.75), of a ViT-B/14 there.
Weights: the student of configs/scalekd/swin-l_vit-b_imagenet.py, run first; neck and heads start anew.
Command: tools/dist_train.sh configs/segmentation/transfer_upernet_vit-b_ade20k.py 8
    The student of another run: --cfg-options model.backbone.init_cfg.checkpoint=/path/to/student/student.pth
Hardware: 8 GPUs, as in the paper (V100). Hours: not measured.
Schedule: 160,000 steps; AdamW, 2e-4, 16 images a step, cosine (Table 11b); the warm-up is MMSegmentation's.
Measured: not run.
"""
_base_ = [
    '../_base_/models/upernet_vit-b_150-classes.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/segmentation_transfer_160k.py',
    '../_base_/segmentation_runtime.py']

# Rates fall by 0.6 from layer to layer, from the last one on.
decay = {f'backbone.layers.{i}.': dict(lr_mult=0.6**(12 - i)) for i in range(12)}
embedding = {f'backbone.{name}': dict(lr_mult=0.6**13, decay_mult=0.0) for name in ('cls_token', 'pos_embed')}
patches = {'backbone.patch_embed': dict(lr_mult=0.6**13)}

backbone = dict(
    type='mmpretrain.VisionTransformer', arch='deit-base', img_size=512, patch_size=16, out_indices=[2, 5, 8, 11],
    out_type='featmap', final_norm=False, drop_path_rate=0.2, init_cfg=dict(
        type='Pretrained', checkpoint='work_dirs/swin-l_vit-b_imagenet/student/student.pth', prefix='backbone.'))
model = {**_base_.architecture, 'backbone': backbone}
optim_wrapper = dict(optimizer=dict(lr=2e-4), paramwise_cfg=dict(custom_keys={**decay, **embedding, **patches}))

train_dataloader = dict(batch_size=2)  # per process
auto_scale_lr = dict(base_batch_size=16)  # 8 processes
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=16000))
