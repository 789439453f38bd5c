"""DistPro: levels of a teacher teach levels of a student by pathways, whose weights follow a process that was searched.

A recipe adds networks, data, teacher, schedule and the levels. As in the authors' code the student learns by the labels
and the pathways, without logits; it is a network of its own, drawn anew.
"""
# --- network ---
model = dict(
    type='mmamd.AMDDistiller',
    losses=dict(ce=dict(type='mmamd.TaskLoss', weight=1.0)))  # and the process

# --- method ---
compression = dict(
    num_candidates=9,  # of another method; here no candidate is trained
    scale_by='flops',
    prune=('filter',),
    round_to=1,
    importance=dict(num_images=256))
method = dict(type='mmamd.KD')
runner_type = 'mmamd.MultiStepRunner'
