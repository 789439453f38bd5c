"""ViT-B/16 -> 10 % of its MACs on CIFAR-100 by AMD.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024.
Teacher first: tools/dist_train.sh configs/teacher/teacher_vit-b_cifar100.py 8
Command: tools/dist_train.sh configs/amd/vit-b_cifar100.py 16
Hardware: the paper used 16 A100-40GB (supplement 8.1). Hours: not measured.
Accuracy: not measured by this project. The paper prints 80.19 for m = 9, 89.33 for its teacher (supplement, Table 5).
"""
_base_ = ['../_base_/models/vit-b_cifar100.py', '../_base_/datasets/cifar100_224.py', '../_base_/default_runtime.py']

# --- network ---
model = dict(
    type='mmamd.AMDDistiller',
    architecture=_base_.architecture,
    teacher='work_dirs/teacher_vit-b_cifar100/teacher.pth',  # path, URL or MMPretrain zoo key
    losses=dict(
        ce=1.0, logit=1.0,  # alpha = 1, supplement 5.1
        feat=1.0,  # beta is not published
        temperature=1.0, feat_layers='auto'))

# --- candidates ---
compression = dict(
    student=0.10,
    num_candidates=9,  # m = 9, supplement 5.3: the grid 0.1, 0.2, ..., 0.9
    num_assistants=1,
    scale_by='flops',
    prune=('head', 'neuron'),
    round_to=1,
    importance=dict(num_images=2048, level='sample', batch_size=64))
custom_hooks = [
    dict(type='mmamd.SandwichSparsityHook', sampler='all'),  # Algorithm 1: every candidate in every step
    dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]

# --- schedules: each stage's section is merged over the top level ---
runner_type = 'mmamd.MultiStepRunner'
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.05),  # lr: supplement, Table 3; decay is not published
    # MMPretrain's habit for ViT: no decay of biases, norms, class token and position embedding.
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)}))
auto_scale_lr = dict(base_batch_size=1024)  # 16 GPUs x 64; the paper does not state its batch

# Cosine with restarts after a warm-up (Algorithm 1); lengths are not published: 10 % warm-up, one cycle.
joint = dict(
    train_cfg=dict(by_epoch=True, max_epochs=100),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
        dict(type='CosineRestartLR', periods=[90], restart_weights=[1], eta_min=0.0, by_epoch=True, begin=10, end=100,
             convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=100),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
        dict(type='CosineRestartLR', periods=[90], restart_weights=[1], eta_min=0.0, by_epoch=True, begin=10, end=100,
             convert_to_iter_based=True)])
