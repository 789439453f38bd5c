"""A candidate written in some forms, each held against the candidate as slices of the shared network."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config

from mmamd.export.comparison import Comparison, Samples, compare
from mmamd.export.finite import check_finite
from mmamd.export.forms import FORMS, Subject
from mmamd.export.logits import check_difference, draw_images, largest_difference, sliced
from mmamd.export.onnx import add_metadata, drawn_for
from mmamd.structures import Candidate, Network


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        form: Name of the form.
        files: Path and size in bytes of each file; none where the form was refused.
        needs: Packages that whoever loads it must have.
        difference: Largest difference from the sliced shared network, over the largest absolute logit.
        comparison: Of a form that is not exact, with the float network on test images; its file holds it, too.
        refused: Why the form was not written.
    """

    form: str
    files: dict[Path, int]
    needs: str
    difference: float
    comparison: Comparison | None = None
    refused: str | None = None


def export_candidate(cfg: Config, network: nn.Module, candidate: Candidate | Network, forms: Sequence[str],
                     folder: str | Path, *, force: bool = False, samples: Samples | None = None,
                     pixels: str | None = None, say: Callable[[str], None] = lambda _: None) -> list[Exported]:
    """Write a candidate in some forms and compare what each file computes with the sliced shared network.

    Forms that cannot be made are named first, and the others are written: all of them, or none if one of them does not
    agree.

    Args:
        cfg: Config of the run, whose model is the distiller.
        network: The shared network with its weights, uncut, on the CPU, in eval mode.
        candidate: Which part of it.
        forms: Names of :data:`FORMS`.
        folder: Where the files go; made if it is not there.
        force: Whether files that are there may be replaced.
        samples: Images that integers are calibrated and judged on.
        pixels: ``'nhwc'`` or ``'nchw'`` for graphs of ONNX that take uint8 pixels and normalise them themselves.
        say: Where a line goes about each form that cannot be made, before any is written.

    Raises:
        ValueError: For an unknown form, or where none of them can be made; it names the layer, the reason and the forms
            that can. For weights that are not finite.
        FileExistsError: If a file is there already and ``force`` is not set.
        FileNotFoundError, ImportError: If no form can be made, for lack of images or of a package.
        RuntimeError: If a form computes another function.
    """
    folder, forms = Path(folder), list(dict.fromkeys(forms))
    _check(folder, forms, force, pixels)
    check_finite(network, f'the network of candidate {candidate.key}')
    subject = Subject(cfg, network, candidate, samples, pixels)
    refused = _refused(subject, forms, say)
    written = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in forms:
            if name not in refused:
                written[name] = _write(subject, name, Path(temporary), folder)
        folder.mkdir(parents=True, exist_ok=True)
        for path in dict.fromkeys(path for exported in written.values() for path in exported.files):
            shutil.move(Path(temporary) / path.name, path)
    return [written[name] if name in written else
            Exported(name, {}, '', float('nan'), refused=refused[name]) for name in forms]


def _check(folder: Path, forms: list[str], force: bool, pixels: str | None) -> None:
    unknown = [name for name in forms if name not in FORMS]
    if unknown or not forms:
        raise ValueError(f'there is no form {unknown[0]!r}; expected some of {list(FORMS)}' if unknown else
                         f'no form was named; expected some of {list(FORMS)}')
    if pixels is not None and not any(FORMS[name].is_graph for name in forms):
        graphs = [name for name, form in FORMS.items() if form.is_graph]
        raise ValueError(f'preprocessing goes into a graph of ONNX, and none of {forms} is one; expected some of '
                         f'{graphs}')
    there = list(dict.fromkeys(str(folder / file) for name in forms for file in FORMS[name].files
                               if (folder / file).exists()))
    if there and not force:
        raise FileExistsError(f'{", ".join(there)} {"is" if len(there) == 1 else "are"} there already; give another '
                              'folder (--out), or replace with force=True (--force)')


def _refused(subject: Subject, forms: list[str], say: Callable[[str], None]) -> dict[str, str]:
    """Form -> why it cannot be made. Raises the first reason where none can."""
    errors: dict[str, Exception] = {}
    for name in forms:
        try:
            FORMS[name].prepare(subject)
        except (ValueError, FileNotFoundError, ImportError) as error:
            errors[name] = error
    if len(forms) > 1:
        for name, error in errors.items():
            say(f'{name} is not written: {error}')
    if len(errors) == len(forms):
        raise errors[forms[0]]
    return {name: str(error) for name, error in errors.items()}


def _write(subject: Subject, name: str, temporary: Path, folder: Path) -> Exported:
    """Write a form into a temporary folder and hold it against the network."""
    form, what = FORMS[name], f'the form {name!r} of candidate {subject.candidate.key}'
    form.write(subject, temporary)
    function, expected = form.read(temporary), sliced(subject.network, subject.candidate)
    comparison = None
    if form.is_exact:
        draw = drawn_for(subject.graph_metadata) if form.is_graph else draw_images
        difference = largest_difference(function, expected, subject.network.backbone.input_shape, draw)
        check_difference(difference, what)
    else:
        comparison = compare(function, expected, subject.samples.test())
        difference = comparison.difference
        add_metadata(temporary / form.files[0], {'comparison': json.dumps(asdict(comparison))})
    sizes = {folder / file: (temporary / file).stat().st_size for file in form.files}
    return Exported(name, sizes, form.needed_by(subject), difference, comparison)


def format_exported(exported: Sequence[Exported]) -> str:
    """The written files as aligned plain text: one line a file, their folder, and what integers lose."""
    rows = [['form', 'file', 'bytes', 'difference', 'needs']]
    for form in exported:
        for i, (path, size) in enumerate(form.files.items()):
            facts = [form.form, f'{form.difference:.1e}', form.needs] if i == 0 else ['', '', '']
            rows.append([facts[0], path.name, f'{size:,}', *facts[1:]])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    aligned = ['  '.join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]),
                          row[3].rjust(widths[3]), row[4]]).rstrip() for row in rows]
    aligned += dict.fromkeys(f'in {path.parent}' for form in exported for path in form.files)
    aligned += [f'{form.form}: {form.comparison}' for form in exported if form.comparison]
    return '\n'.join(aligned + [f'{form.form}: not written' for form in exported if form.refused])
