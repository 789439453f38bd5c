"""The worked example: a concave curve of performance, and a fixed drop of joint training against the teacher."""

import numpy as np

from mmamd.selection.choice import choose
from mmamd.structures import Measurement

TEACHER = Measurement(1.0, 0.8933, [])
SCALES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
VALUES = [0.780, 0.830, 0.855, 0.870, 0.878, 0.882, 0.885, 0.887, 0.889]


def measurements(values, scales=SCALES, draws=None):
    return [Measurement(s, v, [] if draws is None else list(draws[i]))
            for i, (s, v) in enumerate(zip(scales, values, strict=True))]


def example(rule='npsd', **kwargs):
    return choose(measurements(VALUES), TEACHER, 0.1, rule, **kwargs)


def with_draws(values, noise, shared, num_draws=400, scales=SCALES, teacher=0.8933):
    """The example with bootstrap draws that scatter by ``noise`` each, or all together."""
    rng = np.random.default_rng(0)
    shift = rng.normal(0, noise, num_draws) if shared else rng.normal(0, noise, (len(values) + 1, num_draws))
    draws = np.array([*values, teacher])[:, None] + shift
    return measurements(values, scales, draws[:-1]), Measurement(1.0, teacher, list(draws[-1]))


def students(values=(0.61, 0.64, 0.63), scale=0.25, noise=0.002):
    """Separate networks of one scale, each with a name, and their teacher; the second one is the best."""
    named, teacher = with_draws(values, noise, shared=True, scales=[scale] * len(values), teacher=0.8)
    return [Measurement(m.scale, m.value, m.resampled, f'student_{letter}')
            for m, letter in zip(named, 'abcdefgh', strict=False)], teacher
