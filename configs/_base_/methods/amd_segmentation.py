"""AMD for segmentors: what their recipes share. A recipe adds network, data, teacher and optimizer.

Published (supplement, section 7): pixel-wise cross-entropy and Kullback-Leibler divergence, and the mean squared
difference of the backbone's features, without a term of segmentation's own; the student is the pruned backbone under
the teacher's heads, which keep their size. Not published, so ours: the weights of the losses, that filters are ranked
by the reaction of the segmentation loss, and that candidates are made good in closed form instead of trained.
"""
# --- network ---
model = dict(
    type='mmamd.AMDDistiller',
    losses=dict(
        ce=dict(type='mmamd.TaskLoss', weight=1.0),  # the host's, of decode and auxiliary heads
        logit=dict(type='mmamd.LogitLoss', weight=1.0, temperature=1.0),  # of labelled pixels, as the head gives them
        feat=dict(type='mmamd.FeatureLoss', weight=1.0, layers='auto')))

# --- candidates and method ---
compression = dict(
    num_candidates=9,
    scale_by='flops',
    prune=('filter',),
    round_to=1,
    importance=dict(num_images=256, level='sample', batch_size=8),
    refit=dict(num_images=256, num_images_candidates=128),
    recalibration=dict(num_images=256, batch_size=16))
method = dict(type='mmamd.AMD')
custom_hooks = [
    dict(type='mmamd.SandwichSparsityHook', sampler='smallest_random', num_random=1),  # of a joint stage
    dict(type='mmamd.NPSDSelectionHook', rule='npsd_cost', metric='mIoU')]

runner_type = 'mmamd.MultiStepRunner'
