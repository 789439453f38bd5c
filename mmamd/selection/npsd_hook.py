"""Hook that chooses the teacher assistant once the candidates have been evaluated."""

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmamd.distillation.amd_distiller import distiller_of
from mmamd.registry import HOOKS
from mmamd.selection.evaluation import REFERENCES
from mmamd.selection.npsd import check_rule, select
from mmamd.selection.table import format_table
from mmamd.structures import Selection


@HOOKS.register_module()
class NPSDSelectionHook(Hook):
    """Choose the assistant by a rule after :class:`CandidateValLoop` and write ``selection.json``.

    Args:
        rule: ``'npsd'``, ``'npsd_local'``, ``'lambda_tradeoff'`` or ``'manual'``.
        metric: Key of the performance metric, e.g. ``'accuracy/top1'``; larger is better.
        percent: Whether the metric is in percent, as the host's metrics are. A fraction read as percent cannot be
            told from a poor network, so it is not refused.
        lam: Weight of the scale in ``lambda_tradeoff``.
        scale: Scale to take under ``manual``: a number, ``'smallest'`` or ``'largest'``.
        reference: What the derivative is taken to: ``'teacher'``, or ``'full'``, the shared network with all units.
        report_test: Whether the pipeline evaluates the candidates on the test split too. No rule reads that; without it
            the table has no such column, and a run on few images is cheaper.
        rounds_left: Assistants still to be chosen below this one; as many candidates are left for them. Set by the
            pipeline.
    """

    def __init__(self, *, rule: str = 'npsd', metric: str = 'accuracy/top1', percent: bool = True, lam: float = 0.2,
                 scale: float | str | None = None, reference: str = 'teacher',
                 report_test: bool = True, rounds_left: int = 0) -> None:
        check_rule(rule, scale, lam)
        if reference not in REFERENCES:
            raise ValueError(f'reference must be one of {REFERENCES}, got {reference!r}')
        self.rule = rule
        self.metric = metric
        self.percent = percent
        self.lam = lam
        self.scale = scale
        self.reference = reference
        self.report_test = report_test
        self.rounds_left = rounds_left

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        distiller = distiller_of(runner.model)
        selection = self.select(runner.val_loop, distiller.family.candidates[self.rounds_left].scale)
        if is_main_process():
            selection.save(Path(runner.work_dir) / 'selection.json')
        runner.logger.info('selection of the teacher assistant\n' + format_table(selection, distiller.family))

    def select(self, loop, above: float) -> Selection:
        """Apply the rule to what ``loop`` has measured of the candidates above a scale."""
        references, measurements = loop.measurements(self.metric, self.percent)
        return select(measurements, references[self.reference], above, rule=self.rule, lam=self.lam,
                      scale=self.scale)
