"""A search that nobody carried out, and a process that nobody found."""

from mmamd.files.json_file import write_json
from mmamd.visualization.searched import Pathways, Searched, Tried

KD = 'in:[logits] trans:[no|no|no] dist:[KL] cal:[no] weight:[1] tau:[4]'
SP = 'in:[feature] trans:[mm|norm_C|no] dist:[l2] cal:[no] weight:[10] tau:[1]'
DIST = 'in:[logits] trans:[softmax_C|no|no] dist:[Pearson] cal:[no] weight:[1] tau:[1]'
SQRT = 'in:[logits] trans:[sqrt|no|no] dist:[l2] cal:[no] weight:[1] tau:[1]'

TRIALS = {
    'evolution': [Tried(KD, 3.), Tried(SQRT, None, 'loss not finite'), Tried(SP, 2.), Tried(KD, 3., None, True),
                  Tried(DIST, 1.), Tried(SQRT, None, 'loss not finite', True)],
    'random': [Tried(SP, 2.), Tried(SQRT, None, 'gradient zero'), Tried(KD, 4.)]}
SEARCHED = Searched(TRIALS, 2, [0, 3], {
    'transform_1': {'no': [0.25, 0.3], 'mm': [0.5, 0.6], 'sqrt': [0.25, 0.1], 'exp': [0., 0.]},
    'transform_2': {'no': [1., 1.]}, 'transform_3': {'no': [1., 1.]}, 'distance': {'l2': [0.5, 0.4], 'KL': [0.5, 0.6]},
    'calibration': {'no': [1., 1.]}})
PATHWAYS = Pathways(['t0-s0', 't0-s1', 't1-s1'], [0., 0.5, 1.], [[1., 0.2, 0.8], [0.5, 0.5, 0.], [0., 0., 0.]],
                    [100, 100, 300])


def write_search(folder, trials=TRIALS, began_at=(0, 3)):
    """Files of such a search in a run's folder, whose stage it becomes."""
    write_json(folder / 'search' / 'trials.json', {method: [
        {'position': place, 'role': 'newcomer', **vars(trial), 'parts': {}} for place, trial in enumerate(tried)]
        for method, tried in trials.items()})
    write_json(folder / 'search' / 'generations.json', {
        'population': 2, 'trials': list(began_at), 'probabilities': {
            gene: {operation: each[:len(began_at)] for operation, each in found.items()}
            for gene, found in SEARCHED.probabilities.items()}})


def write_process(folder):
    write_json(folder / 'search' / 'process.json', {
        'pathways': [[0, 0, 'auto'], [0, 1, 'auto'], [1, 1, 'auto']], 'steps': [0, 50, 100],
        'weights': PATHWAYS.weights})
    write_json(folder / 'search' / 'pathways.json', {'macs': dict(zip(PATHWAYS.names, PATHWAYS.macs, strict=True))})
