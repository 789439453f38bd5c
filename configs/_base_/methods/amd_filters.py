"""AMD for convolutional networks: what its recipes share. A recipe adds network, data, teacher and optimizer.

Published (supplement, section 7): filters are ranked by L1 norm, greedily (Li et al. 2017), each layer on its own; on
CIFAR the student is a network of another architecture. Not published, so ours: the number of candidates, the weights
of the losses, and that batch norm statistics are found anew for each candidate.
"""
# --- network ---
model = dict(
    type='mmamd.AMDDistiller',
    losses=dict(
        ce=dict(type='mmamd.TaskLoss', weight=1.0),
        logit=dict(type='mmamd.LogitLoss', weight=1.0, temperature=1.0),
        feat=dict(type='mmamd.FeatureLoss', weight=1.0, layers='auto')))

# --- candidates and method ---
compression = dict(
    num_candidates=9,  # as for transformers: the grid 0.1, 0.2, ..., 0.9, of which those above the student
    scale_by='flops',
    prune=('filter',),
    round_to=1,
    importance=dict(method='l1_greedy'),
    recalibration=dict(num_images=2048, batch_size=64))
method = dict(type='mmamd.AMD')
custom_hooks = [
    # As in the recorded run of ResNet-20. Algorithm 1 has sampler='all'. Where the student is another network, no
    # candidate becomes the student, so none is trained in every step, as the default `smallest_random` would.
    dict(type='mmamd.SandwichSparsityHook', sampler='random', num_random=1),
    dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]

runner_type = 'mmamd.MultiStepRunner'
