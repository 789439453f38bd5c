"""Hook that chooses one network once several have been judged."""

from pathlib import Path
from typing import Annotated

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmamd.checks import one_of
from mmamd.configured_hook import ConfiguredHook
from mmamd.registry import HOOKS
from mmamd.selection.choice import check_rule, choose, manual
from mmamd.selection.evaluation import REFERENCES
from mmamd.selection.table import format_table
from mmamd.structures import Measurement, Selection


@HOOKS.register_module()
class NPSDSelectionHook(ConfiguredHook):
    """Choose by a rule after :class:`CandidateValLoop` and write ``selection.json``.

    Args:
        rule: A name of :data:`mmamd.selection.rules.RULES`; ``'npsd_cost'``, the smallest network whose 95 % interval
            of ``'npsd'`` overlaps that of its best; or ``'manual'``.
        metric: Key of the performance metric, e.g. ``'accuracy/top1'``; larger is better.
        percent: Whether the metric is in percent, as the host's metrics are. A fraction read as percent cannot be
            told from a poor network, so it is not refused.
        lam: Weight of the scale in ``lambda_tradeoff``.
        scale: Scale to take under ``manual``: a number, ``'smallest'`` or ``'largest'``.
        reference: What the derivative is taken to: ``'teacher'``, or ``'full'``, the shared network with all units.
        report_test: Whether the pipeline evaluates the candidates on the test split too. No rule reads that; without it
            the table has no such column, and a run on few images is cheaper.
    """

    def __init__(self, *, rule: str = 'npsd', metric: str = 'accuracy/top1', percent: bool = True, lam: float = 0.2,
                 scale: float | str | None = None,
                 reference: Annotated[str, one_of(REFERENCES)] = 'teacher', report_test: bool = True) -> None:
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

    def with_rule(self, rule: str, **options) -> 'NPSDSelectionHook':
        """The same hook that chooses by another rule, with other options if some are given."""
        return NPSDSelectionHook(**{**self.identity(), 'rule': rule, 'scale': None, **options})

    def check_scale(self, eligible: list[float]) -> None:
        """Raise ValueError if ``manual`` names a scale that is not eligible."""
        if self.rule == 'manual':
            manual(eligible, self.scale)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        loop = runner.val_loop
        selection = self.choose(loop)
        if is_main_process():
            selection.save(Path(runner.work_dir) / 'selection.json')
        costs = loop.costs
        runner.logger.info('selection\n' + format_table(selection, costs, costs.get(self.reference)))

    def choose(self, loop) -> Selection:
        """Apply the rule to what ``loop`` has measured of the networks that can be chosen."""
        references, measurements = loop.measurements(self.metric, self.percent)
        if self.reference not in references:
            raise ValueError(f'reference={self.reference!r} is the shared network with all units, and these networks '
                             "share none; set reference='teacher'")
        return self.choose_from(measurements, references[self.reference], loop.above)

    def choose_from(self, measurements: list[Measurement], reference: Measurement, above: float | None) -> Selection:
        """Apply the rule to measurements; arguments as for :func:`mmamd.selection.choice.choose`."""
        return choose(measurements, reference, above, rule=self.rule, lam=self.lam, scale=self.scale)
