"""The plain data that the stages of the pipeline exchange.

Everything here can be printed, compared, and saved as JSON; nothing here knows a network or a framework of training.

A *unit* is the smallest thing that pruning removes: an attention head, a hidden neuron of a feed-forward layer, a
convolution filter. A *unit group* is all units of one kind in one layer. A *candidate* keeps a prefix of every group,
because groups are reordered once by descending importance.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


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
    """

    name: str
    kind: str
    count: int
    scope: str = 'all'
    min_count: int = 0


@dataclass(frozen=True)
class Cost:
    """MACs of one input and number of parameters; both exact integers."""

    macs: int
    params: int

    def __add__(self, other: 'Cost') -> 'Cost':
        return Cost(self.macs + other.macs, self.params + other.params)


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
        return cls(**json.loads(Path(path).read_text()))


@dataclass(frozen=True)
class Candidate:
    """A sub-network: how many units each group keeps, and what that costs.

    Attributes:
        scale: Nominal scale, the fraction of the teacher that was asked for.
        kept: Group name -> number of leading units kept, after reordering.
        cost: MACs and parameters of the whole network (backbone and head) cut to ``kept``.
        units: Units kept over all units of a kind, averaged over the kinds that may be pruned.
    """

    scale: float
    kept: dict[str, int]
    cost: Cost
    units: float

    @property
    def key(self) -> str:
        """Name of the candidate in logs and tables, e.g. ``'0.30'``."""
        return scale_key(self.scale)


@dataclass(frozen=True)
class CandidateFamily:
    """Nested candidates of one teacher, ascending by scale; the first is the student.

    Attributes:
        candidates: Ascending by scale and nested: each keeps at least what the one before keeps.
        teacher_cost: Cost of the network with all units.
        order: Group name -> original indices of the units by descending importance.
        scale_by: ``'flops'``, ``'params'`` or ``'units'``: what ``scale`` is a fraction of.
    """

    candidates: list[Candidate]
    teacher_cost: Cost
    order: dict[str, list[int]]
    scale_by: str

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
        raw = json.loads(Path(path).read_text())
        candidates = [Candidate(**{**c, 'cost': Cost(**c['cost'])}) for c in raw['candidates']]
        return cls(candidates, Cost(**raw['teacher_cost']), raw['order'], raw['scale_by'])


@dataclass(frozen=True)
class Measurement:
    """Performance of one network on one split, with what the bootstrap drew.

    Attributes:
        scale: Nominal scale; 1.0 for the teacher.
        value: The metric, as a fraction.
        resampled: The metric on each bootstrap resample. Draw ``b`` takes the same images for every network of the
            split, so that differences between networks are paired.
    """

    scale: float
    value: float
    resampled: list[float]


@dataclass(frozen=True)
class Selection:
    """Outcome of the optimal selection.

    Attributes:
        rule: Name of the rule that chose.
        assistant: Nominal scale of the chosen teacher assistant.
        reference: The measurement that the derivative is taken to (the teacher, unless configured otherwise).
        student_scale: Candidates must be larger than this.
        measurements: Every candidate, ascending by scale, the student included.
        scores: Rule name -> one score a measurement, None where the candidate is not eligible. All rules are
            tabulated, so that another rule is a replay of this table and not a new training.
        warnings: What a reader must know before trusting the choice.
        lam: Weight of the scale in the scores of ``lambda_tradeoff``.
    """

    rule: str
    assistant: float
    reference: Measurement
    student_scale: float
    measurements: list[Measurement]
    scores: dict[str, list[float | None]]
    warnings: list[str]
    lam: float = 0.2

    def save(self, path: str | Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> 'Selection':
        raw = json.loads(Path(path).read_text())
        raw['reference'] = Measurement(**raw['reference'])
        raw['measurements'] = [Measurement(**m) for m in raw['measurements']]
        return cls(**raw)


def scale_key(scale: float) -> str:
    """Two decimals, or as many as the scale needs: 0.3 -> '0.30', 0.125 -> '0.125'."""
    text = f'{scale:.6f}'.rstrip('0')
    return text + '0' * max(0, 2 - len(text.split('.')[1]))


def write_json(path: str | Path, content: dict) -> None:
    # Written beside and renamed, so that a killed run never leaves half a file.
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + '.partial')
    partial.write_text(json.dumps(content, indent=1) + '\n')
    partial.replace(path)
