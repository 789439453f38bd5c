"""Choose the size of the student by what it is to keep of the teacher, and see whether the trained one keeps it."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mmengine.dist import barrier, is_main_process

from mmamd.files.json_file import read_json, write_json
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages.select import Select
from mmamd.selection.keep import GAIN, predicted, smallest_that_keeps
from mmamd.structures import Selection, scale_key

FILE = 'size.json'


@dataclass(frozen=True, kw_only=True)
class Size(Select):
    """Judge all candidates, and choose the smallest from which a student is expected to keep enough: ``size.json``.

    Attributes:
        keep: Share of the teacher's performance on the held-out images.
        sizes: Scales that the student may have, ascending.
        gain: What its training is expected to make good (:data:`mmamd.selection.keep.GAIN`).
    """

    kind: ClassVar[str] = 'size'
    decides: ClassVar[bool] = True
    keep: float
    sizes: tuple
    gain: float = GAIN

    def carry_out(self, context: Context) -> None:
        super().carry_out(context)
        if is_main_process():
            folder = context.work_dir / self.name
            found = Selection.load(folder / 'selection.json')
            size = smallest_that_keeps(found.measurements, found.reference, self.keep, self.sizes, self.gain)
            kept = {scale_key(m.scale): predicted(m.value, found.reference.value, self.gain) / found.reference.value
                    for m in found.measurements}
            write_json(folder / FILE, {'scale': size, 'keep': self.keep, 'expected': kept})
        barrier()


@dataclass(frozen=True, kw_only=True)
class Verify(Select):
    """Judge a trained student on the held-out images beside the teacher: what it keeps, in ``size.json``.

    Attributes:
        keep: Share of the teacher's performance that it is to keep.
    """

    kind: ClassVar[str] = 'verify'
    decides: ClassVar[bool] = True
    keep: float

    def carry_out(self, context: Context) -> None:
        super().carry_out(context)
        if is_main_process():
            folder = context.work_dir / self.name
            found = Selection.load(folder / 'selection.json')
            write_json(folder / FILE, {
                'scale': found.winner.scale, 'keep': self.keep, 'value': found.winner.value,
                'teacher': found.reference.value, 'kept': found.winner.value / found.reference.value})
        barrier()


def read_size(work_dir: Path, stage: str) -> dict:
    """What a stage has found of the size of the student."""
    return read_json(work_dir / stage / FILE)
