"""The plain data that the stages of the pipeline exchange.

Everything here can be printed, compared, and saved as JSON; nothing here knows a network or a framework of training.

A *unit* is the smallest thing that pruning removes: an attention head, a hidden neuron of a feed-forward layer, a
convolution filter. A *unit group* is all units of one kind in one layer. A *candidate* keeps a prefix of every group,
because groups are reordered once by descending importance.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from mmamd.files.json_file import read_json, write_json
from mmamd.files.whole import remedy


@dataclass(frozen=True)
class UnitGroup:
    """All prunable units of one kind in one layer.

    Attributes:
        name: Unique within a network, e.g. ``'layers.3.head'``.
        kind: ``'head'``, ``'neuron'`` or ``'filter'``.
        count: How many units the layer has.
        scope: Units of one kind are ranked against each other within a scope; ``'all'`` ranks over the whole network.
        min_count: Units that must stay for the network to be defined: 0 where a shortcut leads past the layer, 1 where
            none does.
        block: Name of the residual block that the layer belongs to, of which the network may lose all units at once;
            None where it belongs to none.
    """

    name: str
    kind: str
    count: int
    scope: str = 'all'
    min_count: int = 0
    block: str | None = None


@dataclass(frozen=True)
class Cost:
    """MACs of one input and number of parameters; both exact integers."""

    macs: int
    params: int

    def __add__(self, other: 'Cost') -> 'Cost':
        return Cost(self.macs + other.macs, self.params + other.params)

    def __sub__(self, other: 'Cost') -> 'Cost':
        return Cost(self.macs - other.macs, self.params - other.params)


@dataclass(frozen=True)
class Importance:
    """Importance of every unit before normalisation.

    Attributes:
        scores: Group name -> one non-negative float a unit, in the layer's original order.
        num_images: How many images the expectation was taken over; 0 for norms of weights.
        level: ``'sample'`` for ``E|g|``, ``'batch'`` for the mean over batches of ``|E g|``, ``'l1_independent'`` or
            ``'l1_greedy'`` for norms of filters.
    """

    scores: dict[str, list[float]]
    num_images: int
    level: str

    def save(self, path: str | Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> 'Importance':
        return read_json(path, lambda raw: cls(**raw))


@dataclass(frozen=True)
class Candidate:
    """A sub-network: how many units each group keeps, and what that costs.

    Attributes:
        scale: Nominal scale, the fraction of the teacher that was asked for.
        kept: Group name -> number of leading units kept, after reordering; None for a network of another architecture,
            which is no part of the teacher.
        cost: MACs and parameters of the whole network (backbone and head) cut to ``kept``.
        units: Units kept over all units of a kind, averaged over the kinds that may be pruned.
    """

    scale: float
    kept: dict[str, int] | None
    cost: Cost
    units: float

    @property
    def key(self) -> str:
        """Name of the candidate in logs and tables, e.g. ``'0.30'``."""
        return scale_key(self.scale)

    @classmethod
    def from_dict(cls, raw: dict) -> 'Candidate':
        """From what ``dataclasses.asdict`` makes of one."""
        return cls(**{**raw, 'cost': Cost(**raw['cost'])})


@dataclass(frozen=True)
class CandidateFamily:
    """Nested candidates of one teacher, ascending by scale; the first is the student.

    Attributes:
        candidates: Ascending by scale and nested: each keeps at least what the one before keeps.
        teacher_cost: Cost of the network with all units.
        order: Group name -> original indices of the units by descending importance.
        scale_by: ``'flops'``, ``'params'`` or ``'units'``: what ``scale`` is a fraction of.
        unscaled: What of the teacher's cost scales are no fraction of, that of a segmentor's heads; every candidate has
            it whole.
    """

    candidates: list[Candidate]
    teacher_cost: Cost
    order: dict[str, list[int]]
    scale_by: str
    unscaled: Cost = Cost(0, 0)

    @property
    def student(self) -> Candidate:
        return self.candidates[0]

    def at(self, scale: float) -> Candidate:
        """The candidate of a nominal scale. Raises KeyError that lists the scales there are."""
        for candidate in self.candidates:
            if candidate.key == scale_key(scale):
                return candidate
        raise KeyError(f'no candidate of scale {scale}; the family has {[c.scale for c in self.candidates]}')

    def save(self, path: str | Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> 'CandidateFamily':
        return read_json(path, lambda raw: cls(
            [Candidate.from_dict(candidate) for candidate in raw['candidates']], Cost(**raw['teacher_cost']),
            raw['order'], raw['scale_by'], Cost(**raw.get('unscaled', asdict(Cost(0, 0))))))


@dataclass(frozen=True)
class Maps:
    """What a term of the loss shows of some images: a picture of maps side by side, for the report.

    Attributes:
        name: Of the picture, a word.
        title: What it shows.
        caption: How it is read.
        unit: Of the values.
        panels: Title -> rows of values, of one size or of several; None where there is no value.
        rows, columns: What they are numbers of, from 0; empty for positions of an image, which are not numbered.
    """

    name: str
    title: str
    caption: str
    unit: str
    panels: dict[str, list[list[float | None]]]
    rows: str = ''
    columns: str = ''


@dataclass(frozen=True)
class Network:
    """A network as plain data: how it is built, where its weights are, and what it runs as.

    Attributes:
        architecture: Config of the uncut network, data preprocessor included.
        weights: Where its weights come from: a file, or any source of :mod:`mmamd.weights.sources`; None draws them.
        scale: Nominal scale, 1.0 for all units.
        kept: Group name -> leading units that it runs with; None for all of them, and for a network that cannot run
            as a candidate.
        cost: MACs of one image and parameters, cut to what it keeps; None where nobody has counted.
        statistics: File with batch norm statistics of its own, under its key; None where those of the weights serve.
    """

    architecture: dict
    weights: str | None
    scale: float = 1.0
    kept: dict[str, int] | None = None
    cost: Cost | None = None
    statistics: str | None = None

    @property
    def key(self) -> str:
        """Name of the network in logs and tables, e.g. ``'0.30'``."""
        return scale_key(self.scale)

    @classmethod
    def from_dict(cls, raw: dict) -> 'Network':
        """From what ``dataclasses.asdict`` makes of one."""
        cost = raw.get('cost')
        return cls(**{**raw, 'cost': None if cost is None else Cost(**cost)})


@dataclass(frozen=True)
class Measurement:
    """Performance of one network on one split, with what the bootstrap drew.

    Attributes:
        scale: Nominal scale; 1.0 for the teacher.
        value: The metric, as a fraction.
        resampled: The metric on each bootstrap resample. Draw ``b`` takes the same images for every network of the
            split, so that differences between networks are paired.
        name: What the network is called where its scale does not tell it apart; None for the scale.
        collapsed: In what way the network has collapsed, so that it must not be chosen; None for a sound one.
    """

    scale: float
    value: float
    resampled: list[float]
    name: str | None = None
    collapsed: str | None = None

    @property
    def key(self) -> str:
        """Name of the network in tables."""
        return scale_key(self.scale) if self.name is None else self.name


@dataclass(frozen=True)
class Selection:
    """Outcome of a selection.

    Attributes:
        rule: Name of the rule that chose.
        chosen: Key of the measurement of the network that was chosen.
        reference: The measurement that the derivative is taken to (the teacher, unless configured otherwise).
        above: Networks could be chosen if their scale is larger; None where all could be.
        measurements: Every network that was judged, ascending by scale, whether it could be chosen or not.
        scores: Rule name -> one score a measurement, None where the network is not eligible. All rules are
            tabulated, so that another rule is a replay of this table and not a new training.
        warnings: What a reader must know before trusting the choice.
        lam: Weight of the scale in the scores of ``lambda_tradeoff``.
    """

    rule: str
    chosen: str
    reference: Measurement
    above: float | None
    measurements: list[Measurement]
    scores: dict[str, list[float | None]]
    warnings: list[str]
    lam: float = 0.2

    @property
    def winner(self) -> Measurement:
        """The measurement of the network that was chosen."""
        return next(m for m in self.measurements if m.key == self.chosen)

    @property
    def has_scales(self) -> bool:
        """Whether the networks are told apart by their scales, so that performance is a function of the scale."""
        keys = [scale_key(m.scale) for m in self.measurements]
        return len(set(keys)) == len(keys)

    @property
    def shown_rule(self) -> str:
        """The rule whose scores are shown: that which chose, or the first one where a person chose."""
        return self.rule if self.rule in self.scores else next(iter(self.scores))

    def save(self, path: str | Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> 'Selection':
        return read_json(path, lambda raw: cls(**{
            **raw, 'reference': Measurement(**raw['reference']),
            'measurements': [Measurement(**m) for m in raw['measurements']]}))


RUN_FORMAT = 2  # of stages.json and of what stages leave; counted up when an older work_dir cannot be read any more


def check_run_format(content: dict, work_dir: Path) -> None:
    """Raise ValueError unless the content of a ``stages.json`` is of this version."""
    if content.get('format') != RUN_FORMAT:
        raise ValueError(f'{work_dir} holds a run in format {content.get("format", 1)} of another version of mmamd, '
                         f'and this one reads format {RUN_FORMAT}; finish it with that version, or give another '
                         '--work-dir')
    if not isinstance(content.get('stages'), dict):
        raise ValueError(f"{work_dir / 'stages.json'} names no stages; {remedy(work_dir / 'stages.json')}")


def advice_of(content: dict) -> list[str]:
    """What ``stages.json`` advises: of the plan, and of what stages have found."""
    return [*content.get('advice', []), *(text for entry in content['stages'].values()
                                          for text in entry.get('advice', []))]


def scale_key(scale: float) -> str:
    """Two decimals, or as many as the scale needs: 0.3 -> '0.30', 0.125 -> '0.125'."""
    text = f'{scale:.6f}'.rstrip('0')
    return text + '0' * max(0, 2 - len(text.split('.')[1]))
