"""Judge networks on held-out images, side by side, and choose one."""

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

from mmengine.dist import barrier, is_main_process

from mmamd.files.json_file import read_json, write_json
from mmamd.pipeline.context import Context
from mmamd.pipeline.images.splits import check_metric
from mmamd.pipeline.inputs import Loader
from mmamd.pipeline.progress_hooks import EvaluationProgressHook
from mmamd.pipeline.stage_runner import build_stage_runner
from mmamd.pipeline.stages.stage import Stage
from mmamd.selection.npsd_hook import NPSDSelectionHook
from mmamd.structures import Network, Selection
from mmamd.visualization import plot_selection
from mmamd.visualization.units import scale_of
from mmamd.weights.networks import find_network, save_judged, save_networks

TEST = 'test_metrics.json'


@dataclass(frozen=True, kw_only=True)
class Select(Stage):
    """Choose one of some networks: ``selection.json``, its picture, and ``networks.json`` with the chosen one.

    Attributes:
        candidates: References to networks; one to a stage that has made several stands for all of them.
        are_slices: Whether they are slices of one network, which then is judged beside them.
        reference: Reference to the network that a rule compares them with.
        rule: The rule and its options, and the metric.
        above: Networks of this scale and below are judged but cannot be chosen; None leaves all to choose from.
        images: Split -> its images: the held-out ones, and the test images where they are reported.
        loaders, evaluators: Of the splits.
        seed: The run's, for the bootstrap.
        table: Stage that has judged the same networks, whose measurements it chooses from; None measures them.
    """

    kind: ClassVar[str] = 'select'
    candidates: tuple
    are_slices: bool
    reference: str
    rule: NPSDSelectionHook
    above: float | None
    images: dict
    loaders: dict
    evaluators: dict
    seed: int
    table: str | None = None

    @property
    def measures(self) -> list:
        """All that its measurements depend on."""
        return [self.candidates, self.are_slices, self.reference, self.images, self.loaders, self.evaluators, self.seed,
                self.rule.metric, self.rule.percent, self.rule.reference]

    @classmethod
    def fields_of(cls, context: Context, rule: NPSDSelectionHook) -> dict:
        """The fields that the config says."""
        splits = ('val', 'test') if rule.report_test else ('val',)
        return dict(rule=rule, images={split: context.images(split) for split in splits},
                    loaders={split: Loader(_read_only(context.cfg[f'{split}_dataloader'].to_dict()))
                             for split in splits},
                    evaluators={split: context.cfg[f'{split}_evaluator'] for split in splits}, seed=context.seed)

    def networks(self) -> list[str]:
        return [self.reference, *self.candidates]

    def files(self) -> list[str]:
        return [] if self.table is None else [f'{self.table}/{name}' for name in ('selection.json', TEST)]

    def check(self, context: Context) -> None:
        for split in self.images:
            check_metric(context.cfg, split, context.dataset(split), context.network, context.task, self.rule.metric)

    def macs(self, context: Context) -> float:
        if self.table is not None:
            return 0.
        shown = context.macs_of(self.reference) + context.teacher_cost.macs * self.are_slices
        shown += sum(sum(map(context.macs_of, context.references_of(stage))) for stage in self.candidates)
        return shown * sum(images.num for images in self.images.values())

    def carry_out(self, context: Context) -> None:
        folder = context.work_dir / self.name
        judged = self._judged(context)
        networks = {key: find_network(context.work_dir, reference) for key, reference in judged.items()}
        if self.table is not None:
            test = read_json(context.work_dir / self.table / TEST)
            measured = Selection.load(context.work_dir / self.table / 'selection.json')
            if is_main_process():
                save_judged(context.work_dir, self.name, judged)
                self.rule.choose_from(measured.measurements, measured.reference, self.above).save(
                    folder / 'selection.json')
        else:
            test = self._measure(context, networks, judged)
        if is_main_process():
            write_json(folder / TEST, test)
            selection = Selection.load(folder / 'selection.json')
            plot_selection(selection, scale_of(context.family), folder / 'selection.png',
                           has_student=context.is_smallest_student, are_slices=self.are_slices)
            save_networks(context.work_dir, self.name, {selection.chosen: networks[selection.chosen]})
        barrier()

    def _measure(self, context: Context, networks: dict[str, Network], judged: dict[str, str]) -> dict[str, float]:
        """Judge the networks and choose; returns what they do on the test images, where those are reported."""
        folder, cfg = context.work_dir / self.name, context.cfg
        panel = {'teacher': find_network(context.work_dir, self.reference), **networks}
        if self.are_slices:
            first = next(iter(networks.values()))
            panel['full'] = replace(first, scale=1.0, kept=None, cost=context.teacher_cost)
        loop = dict(type='mmamd.CandidateValLoop', above=self.above)
        runner = build_stage_runner(
            cfg, self.name, folder, custom_hooks=[], randomness=dict(seed=self.seed),
            model=dict(type='mmamd.Panel', networks={name: asdict(each) for name, each in panel.items()}),
            val_dataloader=cfg.val_dataloader, val_evaluator=cfg.val_evaluator, val_cfg=loop,
            test_dataloader=cfg.test_dataloader, test_evaluator=cfg.test_evaluator,
            test_cfg=dict(loop, split='test', num_bootstrap=0))
        runner.register_hook(self.rule)
        if is_main_process():
            save_judged(context.work_dir, self.name, judged)
        held_out = self.images['val'].num / sum(images.num for images in self.images.values())
        runner.register_hook(EvaluationProgressHook(self.name, context.progress, val=(0., held_out),
                                                    test=(held_out, 1.)))
        runner.val()
        # The test split is reported, and read by no rule.
        return runner.test() if 'test' in self.images else {}

    def _judged(self, context: Context) -> dict[str, str]:
        """Key in the table -> reference: the key of one of several networks of a stage, or the stage's name."""
        judged = {}
        for reference in self.candidates:
            found = context.references_of(reference)
            judged |= {each.rpartition('@')[2]: each for each in found} if len(found) > 1 else {reference: reference}
        return judged


def _read_only(loader: dict) -> dict:
    """What a loader reads: batches of another size, or other workers, change no measurement."""
    return {'dataset': loader['dataset']}
