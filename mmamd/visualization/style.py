"""What all figures share: colours for a light and for a dark page, sizes, and how they are saved."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.typing import ColorType
from numpy.typing import NDArray

WIDTH = 9.6  # inches; what a page of the report has room for
DPI = 200  # dots per inch of a saved bitmap


@dataclass(frozen=True)
class Style:
    """Colours of a page. Curves differ in brightness as well as in hue, so they survive colour blindness and print.

    Attributes:
        name: ``'light'`` or ``'dark'``.
        paper: Background.
        ink: Text and marks.
        muted: Secondary text and axes.
        grid: Grid lines.
        blue, orange, green: Of Okabe and Ito's palette, brighter on the dark page.
        deep: What amounts end in, beyond blue.
        span: Part of the colour map viridis that is seen on the paper.
    """

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    blue: str
    orange: str
    green: str
    deep: str
    span: tuple[float, float]

    def ordered(self, num: int) -> NDArray:
        """Colours of things that have an order, such as scales or layers: shape (num, 4)."""
        return colormaps['viridis'](np.linspace(*self.span, num) if num > 1 else [self.span[0]])

    @property
    def amounts(self) -> Colormap:
        """From the paper over blue to the deepest tone, for amounts from nothing upwards."""
        return LinearSegmentedColormap.from_list(f'amounts_{self.name}',
                                                 [(0., self.paper), (0.65, self.blue), (1., self.deep)])

    def ink_on(self, fraction: float) -> str:
        """Colour of text on :attr:`amounts` at a fraction of its range: the one that stands out more."""
        return max((self.ink, self.paper), key=lambda colour: contrast(colour, self.amounts(fraction)))


def contrast(a: ColorType, b: ColorType) -> float:
    """Contrast ratio of two colours, 1 to 21. Source: WCAG 2.1, relative luminance."""
    def luminance(colour: ColorType) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


LIGHT = Style('light', paper='#FFFFFF', ink='#222222', muted='#6B6B6B', grid='#E6E6E6', blue='#0072B2',
              orange='#D55E00', green='#009E73', deep='#002A4A', span=(0.0, 0.88))
DARK = Style('dark', paper='#16191D', ink='#E8E8E8', muted='#A0A6AD', grid='#31363C', blue='#56B4E9',
             orange='#F0A030', green='#35C79B', deep='#E2F3FF', span=(0.28, 1.0))
STYLES = (LIGHT, DARK)


def percent(fraction: float, _: int | None = None) -> str:
    """Text of a tick of a performance, which is a fraction: its percent."""
    return f'{100 * fraction:g}'


def new_figure(style: Style, width: float, height: float) -> Figure:
    """An empty figure, sizes in inches, with a canvas of its own: no pyplot, no display, nothing shared."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout='constrained', facecolor=style.paper)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # inches
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, style: Style, grid: str | None = 'y') -> None:
    """Colours of the style; a frame of two sides; grid lines across ``grid`` (``'x'``, ``'y'``, ``'both'``, None)."""
    axes.set_facecolor(style.paper)
    axes.tick_params(which='both', colors=style.muted, labelcolor=style.ink, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set_color(style.muted)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(style.ink)
    axes.xaxis.label.set_size(9)
    axes.yaxis.label.set_size(9)
    axes.title.set_size(10)
    if grid is not None:
        axes.grid(axis=grid, color=style.grid, linewidth=0.7)
        axes.set_axisbelow(True)


def log_where_it_helps(axes: Axes, values: NDArray) -> None:
    """A logarithmic y axis with plain numbers, where all values are positive and the largest is far above the least."""
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0 or values.max() < 4 * values.min():
        return
    axes.set_yscale('log')
    few = values.max() < 1000 * values.min()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=12))
    axes.yaxis.set_major_formatter('{x:g}')
    axes.yaxis.set_minor_formatter(NullFormatter())


def save_figure(figure: Figure, path: str | Path) -> None:
    """Save a figure in the format of the path's suffix; its folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(figure, path.suffix[1:]))


def encoded(figure: Figure, form: str) -> bytes:
    """The figure as a file of a form, such as ``'png'``, ``'svg'`` or ``'pdf'``; equal figures give equal bytes."""
    buffer = io.BytesIO()
    # Letters as outlines: the same picture whatever fonts the reader has.
    with rc_context({'svg.fonttype': 'path', 'svg.hashsalt': 'mmamd', 'pdf.fonttype': 42}):
        figure.savefig(buffer, format=form,
                       metadata={'svg': {'Date': None}, 'pdf': {'CreationDate': None}}.get(form))
    return buffer.getvalue()


def pixels(figure: Figure) -> NDArray:
    """The figure as an RGB image: uint8, shape (height, width, 3)."""
    figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3].copy()
