"""ScaleKD: a strong vision transformer distils straight into a student of any architecture.

A recipe adds networks, data, teacher and schedule, and says which modules are the student's last two stages. Weights
are those of the authors' code, preset='released': 0.08 and 0.06 for the two views of both paths, 0.5 for the logits,
which are part of the term, and half of the task's own loss. With preset='paper' the task's loss has weight 1.
"""
# --- network ---
model = dict(
    type='mmamd.AMDDistiller',
    losses=dict(
        ce=dict(type='mmamd.TaskLoss', weight=0.5),
        scalekd=dict(type='mmamd.ScaleKDLoss', preset='released')))

# --- method ---
compression = dict(
    num_candidates=9,  # of another method; here the student is a network of its own, and no candidate is trained
    scale_by='flops',
    prune=('head', 'neuron'),
    importance=dict(num_images=256))
method = dict(type='mmamd.KD')
runner_type = 'mmamd.MultiStepRunner'
