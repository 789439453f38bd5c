"""KD-Zero: a distiller is searched for a pair of networks, and then teaches the student beside the labels.

A recipe adds networks, data, teacher and schedule, and says which maps are compared. Published (sections 3.2 and 4.1):
20 distillers and 100 iterations of a child and a newcomer, students that are trained for 5 % of the epochs, and the
sum of what is minimised. Not published, so ours: the signs of that sum, the bounds of rejection, and how probabilities
shrink (docs/search.md).
"""
# --- network ---
model = dict(
    type='mmamd.AMDDistiller',
    losses=dict(ce=dict(type='mmamd.TaskLoss', weight=1.0)))  # and what is found

# --- search ---
search = dict(
    type='mmamd.KDZeroSearch',
    proxy_share=0.05,
    evolution=dict(evaluations=220, population=20))

# --- method ---
compression = dict(
    num_candidates=9,  # of another method; here the student is a network of its own, and no candidate is trained
    scale_by='flops',
    prune=('filter',),
    importance=dict(method='l1_greedy'))
method = dict(type='mmamd.KD')
runner_type = 'mmamd.MultiStepRunner'
