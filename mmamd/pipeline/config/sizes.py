"""How many students there are and of which sizes, as the section ``compression`` says it."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from mmamd.checks import Count, Scale, check, check_arguments, kind_of, list_of, one_of
from mmamd.pipeline.config.keys import check_keys
from mmamd.structures import scale_key

AUTO = 'auto'
RUNTIMES = ('onnxruntime', 'torch')
SECONDS = {'us': 1e-6, 'ms': 1e-3, 's': 1.}
DURATION = re.compile(r'(\d+(?:\.\d+)?) ?(us|ms|s)')


@dataclass(frozen=True)
class LatencySettings:
    """What a student may take, measured on this device.

    Attributes:
        most: The median time of a batch: ``'2ms'``, ``'500us'``, ``'0.1s'``.
        batch_size: Images a batch.
        runtime: ``'onnxruntime'``, on the CPU; or ``'torch'``, on the device of the run.
    """

    most: str
    batch_size: Count = 1
    runtime: Annotated[str, one_of(RUNTIMES)] = 'onnxruntime'

    @property
    def seconds(self) -> float:
        number, unit = DURATION.fullmatch(self.most).groups()
        return float(number) * SECONDS[unit]


def latency_settings(given: Any) -> LatencySettings | None:
    """The options of ``compression.latency``, which may be its time alone.

    Raises:
        ValueError: For an option that there is not, and for a time that is none.
    """
    if given is None:
        return None
    options = dict(given) if isinstance(given, dict) else {'most': given}
    check_keys('compression.latency', options, ('most', 'batch_size', 'runtime'))
    check_arguments('compression.latency', LatencySettings, options)
    most = options.get('most')
    found = DURATION.fullmatch(most) if isinstance(most, str) else None
    if found is None or not float(found[1]):
        raise ValueError(f"compression.latency must be a time above 0 with its unit (us, ms, s), got {most!r}; e.g. "
                         "compression.latency='2ms', or dict(most='2ms', batch_size=64, runtime='torch')")
    return LatencySettings(**options)


def check_sizes(raw: dict) -> None:
    """Refuse what the section ``compression`` says wrongly of the sizes of students.

    Raises:
        ValueError: For scales that are none, and for options that do not go together.
    """
    given, goals = raw['student_scale'], [name for name in ('keep', 'latency') if raw.get(name) is not None]
    if given == AUTO:
        _check_auto(raw, goals)
    elif goals:
        raise ValueError(f'compression.{goals[0]}={raw[goals[0]]!r} chooses the size of the student, and '
                         f"compression.student_scale={given!r} names it; set compression.student_scale='auto', or "
                         f'leave compression.{goals[0]} out')
    elif isinstance(given, (list, tuple)):
        _check_several(given, raw)
    else:
        check('compression.student_scale', given, kind_of(Scale))


def _check_auto(raw: dict, goals: list[str]) -> None:
    latency_settings(raw.get('latency'))
    if len(goals) != 1:
        raise ValueError("compression.student_scale='auto' needs one goal, compression.keep (such as 0.98, of the "
                         "teacher's held-out performance) or compression.latency (such as '2ms'), got "
                         f'{" and ".join(goals) or "none"}')
    if raw.get('student_architecture') is not None:
        raise ValueError("compression.student_scale='auto' chooses among cuts of the teacher, and "
                         'compression.student_architecture is a network of its own; name its scale, or leave it out')
    if raw.get('budget') is not None and raw.get('keep') is not None:
        raise ValueError(f'compression.budget={raw["budget"]!r} is for a known number of trainings, and with '
                         'compression.keep there are as many students as it takes; leave one of them out')


def _check_several(given: list | tuple, raw: dict) -> None:
    check('compression.student_scale', given, list_of(kind_of(Scale)), 'e.g. compression.student_scale=[0.10, 0.25]')
    keys = [scale_key(scale) for scale in given]
    if not keys or len(set(keys)) < len(keys):
        raise ValueError('compression.student_scale must name at least one scale, and each once, got '
                         f'{list(given)}; e.g. compression.student_scale=[0.10, 0.25]')
    if len(keys) > 1 and raw.get('student_architecture') is not None:
        raise ValueError(f'compression.student_scale={list(given)} names several students, and compression.'
                         'student_architecture is one network; name its one scale')
