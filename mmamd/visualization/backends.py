"""Pictures and measurements of a run, handed to the host's visualizer and so to its TensorBoard, W&B or local files."""

from mmengine.visualization import Visualizer

from mmamd.selection.table import Row
from mmamd.visualization.pictures import make_pictures
from mmamd.visualization.run_files import Run
from mmamd.visualization.style import LIGHT, pixels

STEPS_A_UNIT = 1000  # backends count steps in integers, so a scale is written in thousandths


def publish(run: Run, visualizer: Visualizer) -> None:
    """Add every picture as an image, the tables of judged networks as scalars, and the outcome.

    The scalars ``selection/value``, ``selection/npsd`` and so on, one for each number of a row of
    :class:`mmamd.selection.table.Row`, run over the scale in thousandths as their step, or where networks have one
    scale over their number; ``selection/scale`` is for backends that know no step. ``outcome/teacher`` and
    ``outcome/student`` are performances on the test images.
    """
    for picture in make_pictures(run)[0]:
        visualizer.add_image(picture.name, pixels(picture.draw(style=LIGHT)))
    for stage, selection in run.selections.items():
        name = stage.replace('select', 'selection')
        for number, row in enumerate(run.rows(stage)):
            step = round(STEPS_A_UNIT * row.scale) if selection.has_scales else number
            visualizer.add_scalars({f'{name}/{column}': value for column, value in _numbers(row).items()}, step=step)
    if run.summary is not None:
        visualizer.add_scalars({f'outcome/{name}': run.summary[name]['value'] for name in ('teacher', 'student')})


def _numbers(row: Row) -> dict[str, float]:
    found = dict(scale=row.scale, macs=row.macs, params=row.params, value=row.value, stderr=row.stderr,
                 test_value=row.test_value, **row.scores)
    return {name: value for name, value in found.items() if value is not None}
