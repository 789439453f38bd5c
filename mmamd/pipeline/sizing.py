"""Which sizes of the student a run has come to, where it finds the size itself: told by what its stages have left."""

from pathlib import Path

from mmamd.pipeline.config.compression import Compression
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages import Stage, field_digests
from mmamd.pipeline.stages.size import read_size
from mmamd.pipeline.state import RunState
from mmamd.structures import scale_key


def lay_stages(context: Context, state: RunState) -> list[Stage]:
    """Lay the stages of a run by what is known of its students, and refuse what can be known to go wrong."""
    context.students = students_of(context.settings.compression, state)
    context.planned_scales.clear()
    context.stages = context.settings.method.stages(context)
    for stage in context.stages:
        stage.check(context)
        field_digests(stage)  # refuses what no run that continues could be known by
    return context.stages


def students_of(compression: Compression, state: RunState) -> tuple[float, ...]:
    """Scales of the students: as the config names them, or those that have been tried and the one that is next.

    The first is what the stage ``size`` has found, or as long as it has not, the smallest. Where a trained student has
    not kept what it is to keep, the next larger one follows, as long as there is one.
    """
    if not compression.is_auto:
        return compression.students
    work_dir, sizes = state.path.parent, compression.sizes
    if not state.is_finished('size'):
        return (sizes[0],)
    tried = [read_size(work_dir, 'size')['scale']]
    while compression.keep is not None and _has_missed(work_dir, state, tried[-1]) and tried[-1] < sizes[-1]:
        tried.append(min(size for size in sizes if size > tried[-1]))
    return tuple(tried)


def _has_missed(work_dir: Path, state: RunState, scale: float) -> bool:
    stage = f'verify_{scale_key(scale)}'
    if not state.is_finished(stage):
        return False
    found = read_size(work_dir, stage)
    return found['kept'] < found['keep']


def known_before(state: RunState, first: str | None) -> RunState:
    """The state of a run without a stage that is redone and those after it."""
    names = list(state.content['stages'])
    if first not in names:
        return state
    known = RunState(state.path.parent)
    for name in names[names.index(first):]:
        known.content['stages'].pop(name, None)
    return known


def size_found(work_dir: Path, state: RunState) -> dict | None:
    """What a run has found of its student's size: its goal, and the sizes that were tried; None where it was named.

    Returns:
        ``keep`` or ``latency`` with what was asked for, ``is_met``, and ``tried``: of each size its ``scale``, and
        what it has ``kept`` of the teacher and its ``value`` on the held-out images, or its ``seconds``. With ``keep``
        also the ``teacher``'s value, with ``latency`` how it was measured, and the ``seconds`` of all sizes.
    """
    stages = state.content['stages']
    if 'size' not in stages:
        return None
    found = read_size(work_dir, 'size')
    if stages['size']['kind'] == 'latency':
        own = found['seconds'][scale_key(found['scale'])]
        return {'latency': found['most'], **{key: found[key] for key in ('batch_size', 'runtime', 'device', 'threads')},
                'is_met': True, 'tried': [{'scale': found['scale'], 'seconds': own}], 'seconds': found['seconds']}
    tried = [read_size(work_dir, stage) for stage in state.of_kind('verify')]
    return {'keep': found['keep'], 'is_met': tried[-1]['kept'] >= found['keep'], 'teacher': tried[-1]['teacher'],
            'tried': [{key: each[key] for key in ('scale', 'value', 'kept')} for each in tried]}
