"""AMD at full size: what its recipes share. A recipe adds network, data, teacher and the scale of the student.

Published: AdamW, lr 3e-3, cosine with restarts after a warm-up, alpha = 1, m = 9, one assistant. Not published, so
ours: beta, weight decay, batch size, epochs, length of the warm-up, number of cycles.
Otherwise than published, candidates are not trained but made good in closed form (compression.refit), and of what NPSD
cannot tell apart the smallest is chosen, whose passes the student's epochs pay for: at equal cost that is better, as
the study of docs/costs.md measured on a small ViT. As published: method.candidates='joint', with the hook
SandwichSparsityHook(sampler='all') and rule='npsd'. A joint stage of three fifths of the student's epochs, the smallest
and a drawn candidate a step, costs about one and a half plain distillations more.
"""
# --- network ---
model = dict(
    type='mmamd.AMDDistiller',
    losses=dict(
        ce=dict(type='mmamd.TaskLoss', weight=1.0),
        logit=dict(type='mmamd.LogitLoss', weight=1.0, temperature=1.0),  # alpha = 1, supplement 5.1
        feat=dict(type='mmamd.FeatureLoss', weight=1.0, layers='auto')))  # beta is not published

# --- candidates and method ---
compression = dict(
    num_candidates=9,  # m = 9, supplement 5.3: the grid 0.1, 0.2, ..., 0.9
    scale_by='flops',
    prune=('head', 'neuron'),
    round_to=1,
    importance=dict(num_images=2048, level='sample', batch_size=64),
    refit=dict(num_images=3072, num_images_candidates=768))
method = dict(type='mmamd.AMD')
custom_hooks = [
    dict(type='mmamd.SandwichSparsityHook', sampler='smallest_random', num_random=1),  # of a joint stage
    dict(type='mmamd.NPSDSelectionHook', rule='npsd_cost', metric='accuracy/top1')]

# --- schedules: each stage's section is merged over the top level ---
runner_type = 'mmamd.MultiStepRunner'
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.05),  # lr: supplement, Table 3; decay is not published
    # MMPretrain's habit for ViT and Swin: no decay of biases, norms, class token and positions.
    paramwise_cfg=dict(flat_decay_mult=0.0,
                       custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0),
                                    '.relative_position_bias_table': dict(decay_mult=0.0)}))
auto_scale_lr = dict(base_batch_size=1024)  # 16 GPUs x 64; the paper does not state its batch

# Cosine with restarts after a warm-up (Algorithm 1); lengths are not published: 10 % warm-up, one cycle.
joint = dict(
    train_cfg=dict(by_epoch=True, max_epochs=60),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=6, convert_to_iter_based=True),
        dict(type='CosineRestartLR', periods=[54], restart_weights=[1], eta_min=0.0, by_epoch=True, begin=6, end=60,
             convert_to_iter_based=True)])
student = dict(
    train_cfg=dict(by_epoch=True, max_epochs=100),
    param_scheduler=[
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
        dict(type='CosineRestartLR', periods=[90], restart_weights=[1], eta_min=0.0, by_epoch=True, begin=10, end=100,
             convert_to_iter_based=True)])
