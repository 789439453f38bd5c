"""Which size a student needs to keep a share of its teacher's performance, told from untrained candidates."""

from collections.abc import Sequence

from mmamd.structures import Measurement

# Of what a candidate from a refit misses of its teacher, the share that the student's training makes good. A tenth of
# ViT-micro on CIFAR-100 went from 26.9 % to 39.5 (cost 1) and 41.3 (cost 2), its teacher having 53.0: 0.48 and 0.55
# (results/2026-11-25_budgets.md).
GAIN = 0.5


def predicted(value: float, reference: float, gain: float = GAIN) -> float:
    """Performance after the student's training, from that of the candidate and of the teacher, as fractions."""
    return value + gain * max(0., reference - value)


def smallest_that_keeps(measurements: Sequence[Measurement], reference: Measurement, keep: float,
                        sizes: Sequence[float], gain: float = GAIN) -> float:
    """The smallest of some sizes that is predicted to keep a share of the teacher; the largest if none is.

    Args:
        measurements: Of the candidates; those that have collapsed are not taken.
        reference: Of the teacher.
        keep: The share, of the teacher's performance.
        sizes: Scales to choose among, ascending.
        gain: See :data:`GAIN`.

    Raises:
        ValueError: If the teacher has no performance to keep.
    """
    if not reference.value > 0:
        raise ValueError(f'the teacher has {reference.value:g} on the held-out images, of which nothing can be kept; '
                         'look at its weights and at the labels, or give compression.student_scale as a number')
    wanted = keep * reference.value
    found = {m.scale: predicted(m.value, reference.value, gain) for m in measurements if m.collapsed is None}
    return next((size for size in sizes if found.get(size, 0.) >= wanted), sizes[-1])
