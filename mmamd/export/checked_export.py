"""A candidate written in some forms, each held against the candidate as slices of the shared network."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config

from mmamd.export.finite import check_finite
from mmamd.export.forms import FORMS, Subject
from mmamd.export.logits import check_difference, largest_difference, sliced
from mmamd.structures import Candidate, Network


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        form: Name of the form.
        files: Path and size in bytes of each file.
        needs: Packages that whoever loads it must have.
        difference: Largest difference from the sliced shared network, over the largest absolute logit.
    """

    form: str
    files: dict[Path, int]
    needs: str
    difference: float


def export_candidate(cfg: Config, network: nn.Module, candidate: Candidate | Network, forms: Sequence[str],
                     folder: str | Path, *, force: bool = False) -> list[Exported]:
    """Write a candidate in some forms and compare what each file computes with the sliced shared network.

    Nothing is written to ``folder`` unless all forms could be made and agree.

    Args:
        cfg: Config of the run, whose model is the distiller.
        network: The shared network with its weights, uncut, on the CPU, in eval mode.
        candidate: Which part of it.
        forms: Names of :data:`FORMS`.
        folder: Where the files go; made if it is not there.
        force: Whether files that are there may be replaced.

    Raises:
        ValueError: For an unknown form, or one that cannot express the candidate; it names the layer, the reason and
            the forms that can. For weights that are not finite.
        FileExistsError: If a file is there already and ``force`` is not set.
        ImportError: If a package that checks a form is not installed.
        RuntimeError: If a form computes another function.
    """
    folder, forms = Path(folder), list(dict.fromkeys(forms))
    unknown = [name for name in forms if name not in FORMS]
    if unknown or not forms:
        raise ValueError(f'there is no form {unknown[0]!r}; expected some of {list(FORMS)}' if unknown else
                         f'no form was named; expected some of {list(FORMS)}')
    there = [str(folder / file) for name in forms for file in FORMS[name].files if (folder / file).exists()]
    if there and not force:
        raise FileExistsError(f'{", ".join(there)} {"is" if len(there) == 1 else "are"} there already; give another '
                              'folder (--out), or replace with force=True (--force)')
    check_finite(network, f'the network of candidate {candidate.key}')
    subject = Subject(cfg, network, candidate)
    written = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in forms:
            form = FORMS[name]
            form.write(subject, Path(temporary))
            difference = largest_difference(form.read(Path(temporary)), sliced(network, candidate),
                                            network.backbone.input_shape)
            check_difference(difference, f'the form {name!r} of candidate {candidate.key}')
            sizes = {folder / file: (Path(temporary) / file).stat().st_size for file in form.files}
            written.append(Exported(name, sizes, form.needs, difference))
        folder.mkdir(parents=True, exist_ok=True)
        for exported in written:
            for path in exported.files:
                shutil.move(Path(temporary) / path.name, path)
    return written


def format_exported(exported: Sequence[Exported]) -> str:
    """The written files as aligned plain text: one line a file, the form's facts on its first."""
    rows = [['form', 'file', 'bytes', 'difference', 'needs']]
    for form in exported:
        for i, (path, size) in enumerate(form.files.items()):
            facts = [form.form, f'{form.difference:.1e}', form.needs] if i == 0 else ['', '', '']
            rows.append([facts[0], str(path), f'{size:,}', *facts[1:]])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    aligned = ['  '.join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]),
                          row[3].rjust(widths[3]), row[4]]).rstrip() for row in rows]
    return '\n'.join(aligned)
