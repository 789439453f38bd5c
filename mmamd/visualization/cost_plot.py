"""The figure of what a run cost: wall time of every stage and, where it is known, the arithmetic that was planned."""

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure
from mmamd.visualization.units import duration_text, short_amount

TIMES = ((1., 's'), (60., 'min'), (3600., 'h'))
AMOUNTS = ((1., 'MACs'), (1e6, 'M MACs'), (1e9, 'G MACs'), (1e12, 'T MACs'), (1e15, 'P MACs'), (1e18, 'E MACs'))


def cost_figure(seconds: dict[str, float], planned: dict[str, float] | None = None,
                unfinished: frozenset[str] = frozenset(), style: Style = LIGHT) -> Figure:
    """One bar a stage, in the order of the run.

    Args:
        seconds: Stage -> wall time in seconds.
        planned: Stage -> arithmetic in MACs, forward = 1 and backward = 2 times a network's; drawn beside the time.
        unfinished: Stages that have not come to their end; their bars are hatched.
        style: Colours.
    """
    figure = new_figure(style, WIDTH if planned else WIDTH * 0.75, 0.9 + 0.3 * len(seconds))
    panels = figure.subplots(1, 2 if planned else 1, squeeze=False, sharey=True)[0]
    _bars(panels[0], seconds, TIMES, duration_text, unfinished, style.blue, style)
    panels[0].set_xlabel(f'Wall time ({_unit(seconds, TIMES)[1]})')
    if planned:
        planned = {name: planned.get(name, 0.) for name in seconds}
        _bars(panels[1], planned, AMOUNTS, _macs_text, frozenset(), style.orange, style)
        panels[1].set_xlabel(f'Planned arithmetic ({_unit(planned, AMOUNTS)[1]})')
    panels[0].invert_yaxis()  # the first stage on top
    return figure


def _bars(axes: Axes, amounts: dict[str, float], units: tuple, text_of: Callable[[float], str],
          unfinished: frozenset[str], colour: str, style: Style) -> None:
    size, _ = _unit(amounts, units)
    bars = axes.barh(list(amounts), [amount / size for amount in amounts.values()], color=colour, height=0.62)
    for bar, name in zip(bars, amounts, strict=True):
        if name in unfinished:
            bar.set(facecolor='none', edgecolor=colour, hatch='////')
    texts = [text_of(amount) + (' so far' if name in unfinished else '') for name, amount in amounts.items()]
    axes.bar_label(bars, labels=texts, padding=4, fontsize=8, color=style.ink)
    # Room for the text beside the longest bar.
    axes.set_xlim(0, 1.32 * max(max(amounts.values()) / size, 1e-9))
    dress(axes, style, grid='x')
    axes.tick_params(axis='y', length=0)


def _unit(amounts: dict[str, float], units: tuple) -> tuple[float, str]:
    """The largest unit in which the largest amount is at least 2."""
    largest = max(amounts.values())
    return next((unit for unit in reversed(units) if largest >= 2 * unit[0]), units[0])


def _macs_text(macs: float) -> str:
    return f'{short_amount(macs)} MACs'
