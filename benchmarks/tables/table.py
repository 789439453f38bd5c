"""What a table is: rows that differ by keys of one config, with the figures that the paper prints beside them."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from mmamd.nearest import did_you_mean

TABLES: dict[str, 'Table'] = {}


@dataclass(frozen=True)
class Row:
    """One way to a student.

    Attributes:
        name: As the paper has it, where it has it.
        overrides: Keys of the config in which it differs from the table's, dotted.
        paper: Accuracy in percent that the paper prints; ``'missing'`` where it speaks of the row, and what we have of
            it lacks the figure; None where the row is ours.
        cost: Cost that the paper prints.
        x: Where the row stands on the axis of a figure that has one; None for a level line.
        curve: Of a figure that has several, the one that it is on.
        note: What contradicts the figure.
        at: Budget -> further overrides there.
        recipes: Budget -> config below configs/, where it is not the table's.
        runs: Whether it can be run; what the paper has of others is shown beside it.
    """

    name: str
    overrides: dict[str, Any] = field(default_factory=dict)
    paper: float | str | None = None
    cost: str = ''
    x: float | None = None
    curve: str = ''
    note: str = ''
    at: dict[str, dict[str, Any]] = field(default_factory=dict)
    recipes: dict[str, str] = field(default_factory=dict)
    runs: bool = True


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        name: By which it is asked for.
        title: What it compares.
        source: Where the paper has it.
        recipes: Budget -> config below configs/; a budget that is not named cannot be run, only shown.
        teachers: Budget -> weights, below the root of the repository; what the recipe names by default.
        rows: In the paper's order.
        reference: Name of the row that the others are paired with.
        overrides: Keys of all rows, before a row's own.
        at: Budget -> further overrides of all rows.
        notes: What is to be known of the figures that the paper prints.
        axis: What the ``x`` of the rows is; None for a figure of single points.
        gain: Whether the figure draws what rows have more than the reference, seed by seed, and not what they have.
        measure: What the figures are, in percent: ``'top-1'``, or ``'mIoU'`` of segmentors.
    """

    name: str
    title: str
    source: str
    recipes: dict[str, str]
    rows: tuple[Row, ...]
    reference: str
    teachers: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    at: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    axis: str | None = None
    gain: bool = False
    measure: str = 'top-1'

    def __post_init__(self) -> None:
        TABLES[self.name] = self

    @property
    def is_dense(self) -> bool:
        """Whether its networks are segmentors."""
        return self.measure == 'mIoU'

    def row(self, name: str) -> Row:
        """The row of a name; raises ValueError, with the nearest, where there is none."""
        found = {row.name: row for row in self.rows}
        if name not in found:
            raise ValueError(f'{self.name} has no row {name!r}{did_you_mean(name, found)} Expected some of '
                             f'{list(found)}')
        return found[name]

    def recipe(self, budget: str, name: str | None = None) -> str:
        """The config of a budget, or of a row there, below configs/; raises ValueError where there is none."""
        if budget not in self.recipes:
            raise ValueError(f'{self.name} has no recipe for the budget {budget!r}, only for {list(self.recipes)}')
        return self.recipes[budget] if name is None else self.row(name).recipes.get(budget, self.recipes[budget])

    def overrides_of(self, name: str, budget: str) -> dict[str, Any]:
        """All keys in which a row's config differs from the recipe of a budget; a copy, as configs merge in place."""
        row = self.row(name)
        return deepcopy({**self.overrides, **self.at.get(budget, {}), **row.overrides, **row.at.get(budget, {})})


def find_table(name: str) -> Table:
    """The table of a name; raises ValueError, with the nearest, where there is none."""
    if name not in TABLES:
        raise ValueError(f'there is no table {name!r}{did_you_mean(name, TABLES)} Expected one of {sorted(TABLES)}')
    return TABLES[name]
