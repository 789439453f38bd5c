"""The stages that a run is made of: one stage, whole, a file."""

from mmamd.pipeline.stages.black_box import BlackBox
from mmamd.pipeline.stages.distil import Distil
from mmamd.pipeline.stages.export import Export
from mmamd.pipeline.stages.latency import Latency
from mmamd.pipeline.stages.nest import Nest
from mmamd.pipeline.stages.refit import Refit
from mmamd.pipeline.stages.score import Score
from mmamd.pipeline.stages.select import Select
from mmamd.pipeline.stages.size import Size, Verify
from mmamd.pipeline.stages.stage import STAGES, Stage, clear_folders, field_digests, fingerprint
from mmamd.pipeline.stages.teacher import Teacher

__all__ = ['STAGES', 'BlackBox', 'Distil', 'Export', 'Latency', 'Nest', 'Refit', 'Score', 'Select', 'Size', 'Stage',
           'Teacher', 'Verify', 'clear_folders', 'field_digests', 'fingerprint']
