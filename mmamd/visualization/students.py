"""The students of a run: what they cost and what they do, as far as it is known."""

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
        macs: Arithmetic of the run that falls to it; None where nobody has counted.
    """

    scale: float
    cost: Cost
    value: float | None = None
    held_out: float | None = None
    seconds: float | None = None
    macs: float | None = None

    @property
    def key(self) -> str:
        return scale_key(self.scale)


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
    found, times = [], _times(bench)
    for each in summary['students']:
        measured = tried.get(scale_key(each['scale']), {})
        found.append(Student(each['scale'], Cost(each['macs'], each['params']), each['value'], measured.get('value'),
                             measured.get('seconds', times.get(each['name'])), each.get('cost', {}).get('macs')))
    return found


def _times(bench: dict | None) -> dict[str, float]:
    """Name of a student of several -> seconds of one image by ONNX Runtime, as far as they were measured."""
    return {row['network'].removeprefix('student '): timing['median'] / 1000
            for row in (bench or {}).get('networks', ()) for timing in row['timings']
            if (row['runtime'], row['precision'], timing['batch']) == ('ONNX Runtime', 'float32', 1)}


def size_sentences(summary: dict) -> list[str]:
    """How a run has come to the size of its student, where it was not named: a sentence, and a warning if it missed."""
    size = summary.get('size')
    if size is None:
        return []
    if 'latency' in size:
        found, = size['tried']
        return [f'The size is the largest of at most {size["latency"]}: {scale_key(found["scale"])} takes '
                f'{1e3 * found["seconds"]:.3g} ms (median; batch {size["batch_size"]}, {size["runtime"]}, '
                f'{size["device"]}, threads {size["threads"]}).']
    each = ', '.join(f'{scale_key(tried["scale"])} keeps {tried["kept"]:.1%}' for tried in size['tried'])
    verdict = '' if size['is_met'] else ('; no size that a student may have keeps it, and the largest is delivered: '
                                         'train it longer, or name larger candidates in compression.scales')
    return [f"The student is to keep {size['keep']:.1%} of the teacher's held-out performance: {each}{verdict}."]
