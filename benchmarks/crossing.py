"""The crossing point of two lines of a study: the budget from which on one is not worse than the other, and better.

A line is a budget's rows by budget, these by seed; two lines are compared at the budgets that both have, over the seeds
that both have there (:func:`study.difference`).
"""

from collections.abc import Collection

import study

VERDICTS = ('worse', 'tie', 'better')  # ascending
FEW = 3  # seeds, below which a difference says little

Line = dict[str, dict[int, dict]]  # budget -> seed -> row
Found = dict[str, tuple[str, int]]  # budget, ascending -> verdict, and of how many seeds


def table(lines: dict[str, Line], ours: Collection[str], others: Collection[str],
          budgets: Collection[str]) -> list[str]:
    """A row for each of our lines and each other that it can be compared with, and one for all of these at once.

    Args:
        lines: Name -> line.
        ours, others: Names; of lines that were not measured too.
        budgets: Ascending.

    Returns:
        Nothing where our lines have at most one budget among them, which nothing crosses.
    """
    if len({budget for name in ours for budget in lines.get(name, ())}) < 2:
        return []
    printed = ['| line | to | compared at | not worse from | better from |', '|---|---|---|---|---|']
    for name in ours:
        found = {other: compared(lines.get(name, {}), lines.get(other, {}), budgets) for other in others}
        found['every one of these'] = worst(found.values(), budgets)
        printed += [f'| {name} | {other} | {where(each)} | {from_on(each, "tie")} | {from_on(each, "better")} |'
                    for other, each in found.items() if each]
    return printed


def compared(ours: Line, others: Line, budgets: Collection[str]) -> Found:
    """What is said of the difference of two lines at each budget where they have seeds in common."""
    found = {}
    for budget in budgets:
        ours_there, others_there = ours.get(budget, {}), others.get(budget, {})
        if difference := study.difference(ours_there, others_there):
            found[budget] = study.verdict(*difference[1:]), len(ours_there.keys() & others_there.keys())
    return found


def worst(comparisons: Collection[Found], budgets: Collection[str]) -> Found:
    """Several comparisons at once: at each budget the worst verdict there is, and the fewest seeds."""
    there = {budget: [found[budget] for found in comparisons if budget in found] for budget in budgets}
    return {budget: (min((verdict for verdict, _ in found), key=VERDICTS.index), min(seeds for _, seeds in found))
            for budget, found in there.items() if found}


def from_on(found: Found, least: str) -> str:
    """The smallest budget from which on every verdict is at least so good; '-' where there is none."""
    first = '-'
    for budget, (verdict, _) in reversed(found.items()):
        if VERDICTS.index(verdict) < VERDICTS.index(least):
            break
        first = budget
    return first


def where(found: Found) -> str:
    """The budgets, and how many seeds they have where these are few."""
    return ', '.join(budget if seeds >= FEW else f'{budget} ({seeds} seed{"s" if seeds > 1 else ""})'
                     for budget, (_, seeds) in found.items())
