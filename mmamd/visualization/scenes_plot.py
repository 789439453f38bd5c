"""The figure of some test scenes with what teacher, assistants and student take each pixel for."""

from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Patch

from mmamd.files.json_file import read_json, write_json
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

CLASSES_A_ROW = 6  # of the legend


@dataclass(frozen=True)
class Scenes:
    """Test scenes, the truth, and what networks say.

    Attributes:
        columns: ``'image'``, ``'truth'`` or a network -> files of its pictures, one a scene, relative to that of the
            scenes.
        classes: Names of the classes.
        palette: Colour of each class, 0 to 255.
    """

    columns: dict[str, list[str]]
    classes: list[str]
    palette: list[list[int]]

    def save(self, path: str | Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> 'Scenes':
        return read_json(path, lambda raw: cls(**raw))


def scenes_figure(scenes: Scenes, folder: str | Path, style: Style = LIGHT) -> Figure:
    """A row a scene: the image, the truth, and each network's map, in the colours of the data set.

    Args:
        scenes: What to show.
        folder: Of its files.
        style: Colours of the rest.
    """
    pictures = {title: [imread(Path(folder) / name) for name in names] for title, names in scenes.columns.items()}
    rows, width = len(pictures['image']), WIDTH / len(pictures)
    height, across = pictures['image'][0].shape[:2]
    legend = -(-len(scenes.classes) // CLASSES_A_ROW)
    figure = new_figure(style, WIDTH, rows * (width * height / across + 0.05) + 0.3 + 0.25 * legend)
    panels = figure.subplots(rows, len(pictures), squeeze=False)
    for (title, column), axes_of_column in zip(pictures.items(), panels.T, strict=True):
        axes_of_column[0].set_title(title, fontsize=9, parse_math=False)
        for axes, picture in zip(axes_of_column, column, strict=True):
            axes.imshow(picture, interpolation='none')
            dress(axes, style, grid=None)
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set_visible(False)
    colours = [Patch(facecolor=[value / 255 for value in colour]) for colour in scenes.palette]
    labels = [name.replace('$', r'\$') for name in scenes.classes]
    figure.legend(colours, labels, loc='outside lower center', ncols=CLASSES_A_ROW, fontsize=8, frameon=False,
                  labelcolor=style.ink)
    return figure
