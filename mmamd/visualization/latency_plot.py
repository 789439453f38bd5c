"""The figure of how long a call takes: one panel a batch size, one bar a network and a way to run it."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure


def latency_figure(networks: list[dict], style: Style = LIGHT) -> Figure:
    """Medians as bars, quartiles as lines across their ends.

    Args:
        networks: Rows of :func:`mmamd.bench`.
        style: Colours.
    """
    batches = [timing['batch'] for timing in networks[0]['timings']]
    figure = new_figure(style, WIDTH if len(batches) > 1 else WIDTH * 0.75, 0.9 + 0.3 * len(networks))
    panels = figure.subplots(1, len(batches), squeeze=False, sharey=True)[0]
    for i, (axes, batch) in enumerate(zip(panels, batches, strict=True)):
        _bars(axes, networks, i, style)
        axes.set_xlabel(f'Batch of {batch}: ms a call')
    panels[0].invert_yaxis()  # the teacher on top
    return figure


def _bars(axes: Axes, networks: list[dict], index: int, style: Style) -> None:
    colours = {('torch', 'float32'): style.muted, ('ONNX Runtime', 'float32'): style.blue,
               ('ONNX Runtime', 'int8'): style.orange}
    labels = [f'{row["network"]}, {row["runtime"]}{" int8" if row["precision"] == "int8" else ""}' for row in networks]
    timings = [row['timings'][index] for row in networks]
    medians = [timing['median'] for timing in timings]
    errors = [[timing['median'] - timing['low'] for timing in timings],
              [timing['high'] - timing['median'] for timing in timings]]
    axes.barh(labels, medians, height=0.62, color=[colours[row['runtime'], row['precision']] for row in networks],
              xerr=errors, error_kw={'ecolor': style.ink, 'elinewidth': 1, 'capsize': 2})
    for y, timing in enumerate(timings):
        axes.annotate(f'{timing["median"]:.3g}', (timing['high'], y), xytext=(5, 0), textcoords='offset points',
                      va='center', fontsize=8, color=style.ink)
    # Room for the text beside the longest bar.
    axes.set_xlim(0, 1.2 * max(timing['high'] for timing in timings))
    dress(axes, style, grid='x')
    axes.tick_params(axis='y', length=0)
