"""Data for pictures: a network of two layers with three candidates, of which nobody trained any."""

import json

import numpy as np

from mmamd.selection.choice import choose
from mmamd.structures import Candidate, CandidateFamily, Cost, Importance, Measurement
from mmamd.visualization.refit_plot import Refitted, RefittedNetwork

COUNTS = {'layers.0.head': 2, 'layers.0.neuron': 40, 'layers.1.head': 2, 'layers.1.neuron': 40}
CANDIDATES = {0.25: (250, 40), 0.5: (500, 60), 0.75: (750, 80)}  # scale -> MACs, parameters


def make_importance(counts=COUNTS):
    rng = np.random.default_rng(0)
    return Importance({name: rng.uniform(0.1, 1, count).tolist() for name, count in counts.items()}, 8, 'sample')


def make_family(counts=COUNTS, candidates=CANDIDATES):
    importance = make_importance(counts)
    order = {name: np.argsort(scores)[::-1].tolist() for name, scores in importance.scores.items()}
    return CandidateFamily([Candidate(scale, {name: int(count * scale) for name, count in counts.items()}, Cost(*cost),
                                      scale) for scale, cost in candidates.items()], Cost(1000, 100), order, 'flops')


def make_selection(rule='npsd'):
    """Held-out values 0.60, 0.70, 0.76 and 0.80 of the teacher: NPSD chooses 0.75."""
    draws = np.random.default_rng(0).normal(0, 0.01, 20)
    values = {0.25: 0.6, 0.5: 0.7, 0.75: 0.76, 1.0: 0.8}
    *networks, teacher = (Measurement(scale, value, (value + draws).tolist()) for scale, value in values.items())
    return choose(networks, teacher, 0.25, rule)


def make_student_selection():
    """Students of one scale by two assistants: held-out values 0.70 and 0.73; the best one is that of 0.75."""
    draws = np.random.default_rng(0).normal(0, 0.01, 20)
    students = [Measurement(0.25, value, (value + draws).tolist(), name)
                for name, value in (('student_0.50', 0.70), ('student_0.75', 0.73))]
    return choose(students, Measurement(1.0, 0.8, (0.8 + draws).tolist()), None, 'best')


STEPS = ('layers.0.head', 'layers.0.neuron', 'layers.1.head', 'layers.1.neuron', 'head.fc')


def make_refitted(scales=(0.25, 0.5, 0.75), steps=STEPS, is_judged=True, **keys):
    """Cut, a network of scale s does s / 2 and misses 1 - s of each target; refit it does half as badly.

    Args:
        keys: Key -> scale of networks that are not called by their scale.
    """
    networks = {f'{scale:.2f}': scale for scale in scales} | keys
    found = {key: RefittedNetwork(
        scale, *((scale / 2, 0.4 + scale / 4) if is_judged else (None, None)), 1000,
        {step: (1 - scale, (1 - scale) / 2) for step in steps}) for key, scale in networks.items()}
    return Refitted(768, found, *(('accuracy/top1', 1000, 0.8) if is_judged else ()))


def log_rows(steps, scales=('0.25', '0.50', '0.75')):
    """Rows as the host's logger writes them; the loss of a network is 1 / scale and falls with the step."""
    return [{'lr': 0.1, 'loss': 2., **{f'{scale}.loss_{term}': weight / float(scale) / step for scale in scales
                                      for term, weight in (('ce', 0.7), ('feat', 0.3))}, 'step': step}
            for step in steps]


def write_log(folder, rows):
    path = folder / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(json.dumps(row) + '\n' for row in rows))


def make_bench():
    """A teacher and a student as somebody has timed them; in integers it has lost something."""
    def row(network, runtime, precision, size, median, comparison=None):
        timings = [dict(batch=batch, median=median * times, low=0.975 * median * times, high=1.05 * median * times,
                        calls=20) for batch, times in ((1, 1), (64, 32))]
        return dict(network=network, runtime=runtime, precision=precision, bytes=size, timings=timings,
                    comparison=comparison)

    lossy = dict(num_images=2000, value=0.77, reference=0.80, stderr=0.005, difference=0.1)
    rows = [row('teacher', 'torch', 'float32', 343_000_000, 40.), row('teacher', 'ONNX Runtime', 'float32',
                                                                      343_100_000, 20.),
            row('student', 'ONNX Runtime', 'float32', 35_000_000, 4.),
            row('student', 'ONNX Runtime', 'int8', 9_100_000, 2., lossy)]
    return dict(networks=rows, device='cpu', processor='a processor', threads=2, versions={},
                notes=['On cpu (a processor).'], warnings=['The student in int8 has lost something.'])
