"""ViT-B/16 -> DeiT-Tiny on ImageNet-1k by a process that DistPro searches, with the transform of transformers.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: no row; the student of configs/distpro/distpro_vit-b_imagenet.py has one.
Teacher: MMPretrain's ViT-B/16 of MoCo v3, downloaded, as in configs/amd/vit-b_imagenet.py. The paper names no weights.
Command: tools/dist_train.sh configs/distpro/search_distpro_vit-b_imagenet.py 4
Hardware: 4 GPUs, as in the paper (appendix A). Hours: not measured.
Schedule: search 20 epochs, student 20 epochs; AdamW, 2.5e-4, 256 images a step (appendix A; the epochs and the levels
    are ours, the rate is DeiT's for so many images).
Measured: not run.
"""
_base_ = [
    '../_base_/models/vit-b-p16_1000-classes.py',
    '../_base_/models/student_deit-tiny-p16_1000-classes.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/methods/distpro.py',
    '../_base_/default_runtime.py']

# The ends of four equal parts of the 12 layers: ten pathways.
connect = [(f'backbone.layers.{i}', f'backbone.layers.{i}') for i in (2, 5, 8, 11)]
model = dict(
    architecture=_base_.architecture,
    teacher='vit-base-p16_mocov3-pre_8xb64-coslr-150e_in1k')  # path, URL, key of MMPretrain's zoo, or timm:NAME
compression = dict(
    prune=('head', 'neuron'),
    student_scale=0.0714,  # of the teacher's MACs
    student_architecture=_base_.student_architecture)
search = dict(
    type='mmamd.DistProSearch',
    epochs=20,
    lr=1e-3,  # appendix A
    loss=dict(layers=connect, transform='transformer'))

# DeiT's rate is 5e-4 for 512 images; biases, norms, class token and positions do not decay, as MMPretrain has it.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2.5e-4, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)}))
auto_scale_lr = dict(base_batch_size=256)  # 4 GPUs x 64
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=20),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=1, end=20, convert_to_iter_based=True)])
