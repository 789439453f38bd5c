"""The figure of some test images with what teacher, assistants and student say about them."""

from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

from mmamd.files.json_file import read_json, write_json
from mmamd.visualization.style import LIGHT, WIDTH, Style, dress, new_figure

COLUMNS = 4
MOST_LETTERS = 20  # of a class name
RIGHT, WRONG = '\N{CHECK MARK}', '\N{BALLOT X}'


@dataclass(frozen=True)
class Prediction:
    """The class that a network takes for the most likely, and the probability that it gives it."""

    label: int
    score: float


@dataclass(frozen=True)
class Example:
    """One test image.

    Attributes:
        image: File of the image before normalisation, relative to that of the examples.
        label: Its class.
        predictions: Network (``'teacher'``, ``'assistant'``, ``'student'``) -> its prediction.
    """

    image: str
    label: int
    predictions: dict[str, Prediction]


@dataclass(frozen=True)
class Examples:
    """What the networks of a run say about some test images.

    Attributes:
        examples: The images; none where ``skipped`` says why.
        classes: Names of the classes; None where the data set has none.
        skipped: Why there are no examples; None where there are some.
    """

    examples: list[Example]
    classes: list[str] | None = None
    skipped: str | None = None

    def save(self, path: str | Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> 'Examples':
        return read_json(path, lambda raw: cls(
            [Example(e['image'], e['label'], {name: Prediction(**p) for name, p in e['predictions'].items()})
             for e in raw['examples']], raw['classes'], raw['skipped']))


def read_images(examples: Examples, folder: str | Path) -> list[NDArray]:
    """The images of the examples, from the folder that holds their files; each (height, width) or (.., .., 3)."""
    return [imread(Path(folder) / example.image) for example in examples.examples]


def examples_figure(examples: Examples, images: list[NDArray], style: Style = LIGHT) -> Figure:
    """A grid of images: the true class above, below it each network's class and probability, marked right or wrong.

    Args:
        examples: What to write.
        images: From :func:`read_images`.
        style: Colours.

    Raises:
        ValueError: There are no examples.
    """
    if not examples.examples:
        raise ValueError(f'no examples to draw: {examples.skipped}')
    rows = -(-len(images) // COLUMNS)
    lines = len(examples.examples[0].predictions)
    figure = new_figure(style, WIDTH, rows * (1.75 + 0.18 * lines))
    panels = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in panels.flat[len(images):]:
        axes.remove()
    for axes, example, image in zip(panels.flat, examples.examples, images, strict=False):
        _draw(axes, example, image, examples.classes, style)
    return figure


def _draw(axes: Axes, example: Example, image: NDArray, classes: list[str] | None, style: Style) -> None:
    axes.imshow(image, cmap='gray' if image.ndim == 2 else None, interpolation='none')
    dress(axes, style, grid=None)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    # Class names are a user's text, in which a dollar sign is a dollar sign.
    axes.set_title(_class_name(example.label, classes), fontsize=9, fontweight='bold', color=style.ink,
                   parse_math=False)
    for line, (network, prediction) in enumerate(example.predictions.items()):
        right = prediction.label == example.label
        text = (f'{RIGHT if right else WRONG} {network}: {_class_name(prediction.label, classes)} '
                f'({prediction.score:.0%})')
        axes.annotate(text, (0.5, 0), xytext=(0, -4 - 12 * line), xycoords='axes fraction',
                      textcoords='offset points', ha='center', va='top', fontsize=7.5, parse_math=False,
                      color=style.blue if right else style.orange)


def _class_name(label: int, classes: list[str] | None) -> str:
    """Name of a class, or its number; the first of several synonyms, cut where it is too long for its place."""
    if classes is None or label >= len(classes):  # a head may have more classes than the test images show
        return f'class {label}'
    name = classes[label].split(',')[0]
    return name if len(name) <= MOST_LETTERS else name[:MOST_LETTERS - 1] + '\N{HORIZONTAL ELLIPSIS}'
