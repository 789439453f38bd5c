"""The files by which a stage hands terms to those after it: what terms have learnt, and terms that are found."""

from pathlib import Path

from mmamd.files.json_file import read_json, write_json

TERMS = 'terms.pth'  # their parameters and buffers, by name
FOUND = 'losses.json'


def write_found(folder: Path, losses: dict) -> None:
    """Write terms, name -> settings; a ``file`` of one is named from the folder."""
    write_json(folder / FOUND, losses)


def read_found(path: str | Path) -> dict:
    """The terms of such a file. Raises what :func:`mmamd.files.json_file.read_json` raises."""
    def placed(term: dict) -> dict:
        return {**term, 'file': str(Path(path).parent / term['file'])} if 'file' in term else dict(term)

    return read_json(path, lambda raw: {name: placed(term) for name, term in raw.items()})
