"""ViT-B/16 -> DeiT-Tiny on ImageNet-1k by a process that was searched before.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: the figure of the repository, Table 2: 73.41 % after 100 epochs (ReviewKD 73.44 % after 150).
Teacher: as configs/distpro/search_distpro_vit-b_imagenet.py, which is run first.
Command: tools/dist_train.sh configs/distpro/distpro_vit-b_imagenet.py 16
Hardware: 16 GPUs; 4 in the paper (appendix A). Hours: not measured.
Schedule: student 150 epochs; AdamW, 1e-3, 1,024 images a step (appendix A, and DeiT's).
Measured: not run.
"""
_base_ = ['search_distpro_vit-b_imagenet.py']

search = None
model = dict(losses=dict(process=dict(
    type='mmamd.ProcessLoss',
    layers=_base_.connect,
    transform='transformer',
    file='work_dirs/search_distpro_vit-b_imagenet/search/process.json')))

optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=1024)  # 16 GPUs x 64
student = dict(
    train_cfg=dict(max_epochs=150),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5, end=150, convert_to_iter_based=True)])
