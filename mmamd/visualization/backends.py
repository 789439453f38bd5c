"""Pictures and measurements of a run, handed to the host's visualizer and so to its TensorBoard, W&B or local files."""

from mmengine.visualization import Visualizer

from mmamd.visualization.candidate_table import candidate_tables
from mmamd.visualization.pictures import make_pictures
from mmamd.visualization.run_files import Run
from mmamd.visualization.style import LIGHT, pixels

STEPS_A_UNIT = 1000  # backends count steps in integers, so a scale is written in thousandths


def publish(run: Run, visualizer: Visualizer) -> None:
    """Add every picture as an image, the table of candidates as scalars, and the outcome.

    The scalars ``selection/performance``, ``selection/npsd`` and so on, one for each column of
    :func:`candidate_tables`, run over the scale in thousandths as their step; ``selection/scale`` is for backends
    that know no step. ``outcome/teacher`` and ``outcome/student`` are performances on the test images.
    """
    for picture in make_pictures(run)[0]:
        visualizer.add_image(picture.name, pixels(picture.draw(style=LIGHT)))
    for stage, rows in candidate_tables(run).items():
        name = stage.replace('select', 'selection')
        for row in rows:
            visualizer.add_scalars({f'{name}/{column}': value for column, value in row.items()},
                                   step=round(STEPS_A_UNIT * row['scale']))
    if run.summary is not None:
        visualizer.add_scalars({f'outcome/{name}': run.summary[name]['value'] for name in ('teacher', 'student')})
