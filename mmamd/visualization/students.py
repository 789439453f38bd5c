"""The students of a run: what they cost and what they do, as far as it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmamd.structures import CandidateFamily, Cost, scale_key


@dataclass(frozen=True)
class Student:
    """One student.

    Attributes:
        scale: Nominal scale.
        cost: Of the network.
        value: Performance on the test images as a fraction; None before it is read.
        held_out: The same on the held-out images, where the run has looked whether it keeps enough.
        seconds: Time of an image by ONNX Runtime, where it was measured; of a batch, where the size followed from that.
    """

    scale: float
    cost: Cost
    value: float | None = None
    held_out: float | None = None
    seconds: float | None = None

    @property
    def key(self) -> str:
        return scale_key(self.scale)


def name_of(reference: str, delivered: Sequence[str]) -> str:
    """What a reader calls a delivered network: the student, or one of several: ``'student 0.25'``."""
    if len(delivered) == 1:
        return 'student'
    return reference.replace('_', ' ') if reference.startswith('student_') else f'student {reference}'


def students_of(summary: dict | None, family: CandidateFamily | None, named: Any,
                bench: dict | None = None) -> list[Student]:
    """The students of a run, ascending by scale; none as long as nothing is known of them.

    Args:
        summary: Of the run, once it is finished.
        family: Its candidates, if the students are some of them.
        named: ``compression.student_scale``.
        bench: What was timed of the run, the content of ``export/bench.json``.
    """
    if summary is None:
        if family is None or named == 'auto':
            return []
        scales = named if isinstance(named, (list, tuple)) else [family.student.scale]
        return [Student(scale, family.at(scale).cost) for scale in sorted(scales)]
    tried = {scale_key(each['scale']): each for each in summary.get('size', {}).get('tried', ())}
    found, times, names = [], _times(bench), [each['name'] for each in summary['students']]
    for each in summary['students']:
        measured = tried.get(scale_key(each['scale']), {})
        seconds = measured.get('seconds', times.get(name_of(each['name'], names)))
        found.append(Student(each['scale'], Cost(each['macs'], each['params']), each['value'], measured.get('value'),
                             seconds))
    return found


def _times(bench: dict | None) -> dict[str, float]:
    """Name of a network -> seconds of one image by ONNX Runtime, as far as they were measured."""
    return {row['network']: timing['median'] / 1000
            for row in (bench or {}).get('networks', ()) for timing in row['timings']
            if (row['runtime'], row['precision'], timing['batch']) == ('ONNX Runtime', 'float32', 1)}
