"""The images of a folder or of annotation files, found out: what there is to train, to choose and to test on."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmamd.files.whole import write_whole

# MMPretrain's CustomDataset reads these.
IMAGES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')
FOLDERS = {'train': ('train', 'training'), 'val': ('val', 'valid', 'validation'), 'test': ('test', 'testing')}
LISTS = ('.csv', '.txt')
PATH_COLUMNS, LABEL_COLUMNS = ('path', 'file', 'filename', 'image', 'img'), ('label', 'class', 'target', 'category')
MOST_NAMED = 3


@dataclass(frozen=True)
class Part:
    """One folder of images, or one list of them.

    Attributes:
        prefix: Folder of the images, relative to the root; '' for the root.
        num: How many there are.
        ann_file: List of them; None for a folder a class.
        rows: (path, name of its class) of each, where the list is still to be written.
    """

    prefix: str
    num: int
    ann_file: str | None = None
    rows: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Data:
    """Images with classes.

    Attributes:
        root: Absolute folder that all paths are relative to.
        classes: Names, in the order of the labels.
        parts: ``'train'``, and ``'val'`` and ``'test'`` where they are apart; what is missing is held out.
        smallest: Images of the class of ``'train'`` that has the fewest.
        is_listed: Whether lists say what the classes are; else the folders' names do.
    """

    root: Path
    classes: tuple[str, ...]
    parts: dict[str, Part]
    smallest: int
    is_listed: bool = False


def find_data(path: str, test: str | None = None) -> Data:
    """The images of a folder, ``train/CLASS/*`` beside ``test/CLASS/*`` or ``CLASS/*`` alone, or of a list of them.

    A list is a CSV file with the columns path and label, or a text file with a path and the number of its class a line.

    Args:
        path: Folder or list.
        test: Folder or list of test images, where they lie elsewhere.

    Raises:
        FileNotFoundError, ValueError: If it is neither, or holds no images.
    """
    found = Path(path).expanduser().resolve()
    if not found.exists():
        raise FileNotFoundError(f'--data {path} is not there; expected a folder with a folder of images a class, '
                                'or a list of images (.csv, .txt)')
    if found.is_file():
        return _listed(found.parent, {'train': found, **({'test': Path(test).expanduser().resolve()} if test else {})})
    parts = {split: found / name for split, names in FOLDERS.items() for name in names if (found / name).is_dir()}
    lists = {split: place for split in FOLDERS for suffix in LISTS for place in (found / f'{split}{suffix}',)
             if place.is_file()}
    if 'train' in lists and not any(_classes(folder) for folder in parts.values()):
        return _listed(found, lists | ({'test': Path(test).expanduser().resolve()} if test else {}))
    if 'train' not in parts:
        parts = {'train': found}
    if test is not None:
        parts['test'] = Path(test).expanduser().resolve()
    elif 'test' not in parts and 'val' in parts:  # as ImageNet has it: these judge, and a part of the others chooses
        parts['test'] = parts.pop('val')
    return _in_folders(found, parts)


def _in_folders(root: Path, folders: dict[str, Path]) -> Data:
    classes, counts, parts = (), [], {}
    for split, folder in folders.items():
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder} is no folder; expected one with a folder of {split} images a class')
        names = _classes(folder)
        if not names:
            raise ValueError(f'{folder} has no folder with images; expected CLASS/*.jpg (or {", ".join(IMAGES[1:])}), '
                             'one folder a class, or train/ and test/ with such folders, or a list: train.csv')
        classes = classes or names
        if names != classes:
            odd = sorted(set(names) ^ set(classes))
            raise ValueError(f'{folder} has other classes than {folders["train"]}: {", ".join(odd[:MOST_NAMED])}; '
                             'labels are the places of the sorted folders, so both need the same folders')
        own = [sum(path.suffix.lower() in IMAGES for path in (folder / name).rglob('*')) for name in names]
        counts = counts or own
        parts[split] = Part('' if folder == root else _path_from(root, folder), sum(own))
    if any(each.is_dir() and each.name not in classes for folder in folders.values() for each in folder.iterdir()):
        # The host takes every folder for a class, also one without images; lists say which are.
        parts = {split: _with_rows(root, part) for split, part in parts.items()}
    return Data(root, classes, parts, min(counts))


def _classes(folder: Path) -> tuple[str, ...]:
    """Names of the folders that hold images, sorted."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(each.name for each in folder.iterdir() if each.is_dir() and any(
        path.suffix.lower() in IMAGES for path in each.rglob('*'))))


# --- lists ---

def _listed(root: Path, lists: dict[str, Path]) -> Data:
    rows = {split: [(_path_from(root, path.parent / image), name) for image, name in _rows(path)]
            for split, path in lists.items()}
    names = sorted({name for found in rows.values() for _, name in found}, key=_as_label)
    for split, found in rows.items():
        if missing := next((image for image, _ in found if not (root / image).is_file()), None):
            raise FileNotFoundError(f'{lists[split]} lists {missing}, which is not there; expected paths relative to '
                                    f'the folder of the list, {lists[split].parent}')
    counts = [sum(name == each for _, each in rows['train']) for name in names]
    parts = {split: Part('', len(found), rows=tuple(found)) for split, found in rows.items()}
    return Data(root, tuple(names), parts, min(counts), is_listed=True)


def _path_from(root: Path, path: Path) -> str:
    """As it is written in a list: relative to the root where it is below."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _as_label(name: str) -> tuple[int, str]:
    return (int(name), '') if name.isdigit() else (-1, name)


def _rows(path: Path) -> list[tuple[str, str]]:
    """(path, name of its class) of each image of a list."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} is not there; expected a list of images')
    if path.suffix.lower() == '.csv':
        with open(path, newline='', encoding='utf-8-sig') as file:
            found = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
        head = [cell.lower() for cell in found[0]] if found else []
        columns = [next((head.index(name) for name in names if name in head), place)
                   for place, names in enumerate((PATH_COLUMNS, LABEL_COLUMNS))]
        if set(head) & {*PATH_COLUMNS, *LABEL_COLUMNS}:
            found = found[1:]
    else:
        found, columns = [line.rsplit(maxsplit=1) for line in path.read_text().splitlines() if line.strip()], [0, 1]
    if not found or any(len(row) <= max(columns) for row in found):
        raise ValueError(f'{path} is no list of images; expected a path and a class a line: a CSV with the columns '
                         'path and label, or "PATH NUMBER" lines')
    return [(row[columns[0]], row[columns[1]]) for row in found]


def written_lists(data: Data, folder: Path) -> Data:
    """The data with its lists as files of the host: ``PATH LABEL`` lines, and the names of the classes a line."""
    if not any(part.rows for part in data.parts.values()):
        return data
    labels = {name: number for number, name in enumerate(data.classes)}
    write_whole(''.join(f'{name}\n' for name in data.classes).encode(), folder / 'classes.txt')
    parts = {}
    for split, part in data.parts.items():
        path = folder / f'{split}.txt'
        write_whole(''.join(f'{name} {labels[label]}\n' for name, label in part.rows).encode(), path)
        parts[split] = replace(part, ann_file=str(path), rows=())
    return replace(data, parts=parts)


def in_order_of(data: Data, classes: Sequence[str] | None, num_classes: int) -> tuple[Data, str | None]:
    """The data with its classes in the order of a network's logits, and what was done for it.

    Raises:
        ValueError: If the network has another number of classes, or others by name.
    """
    if len(data.classes) != num_classes:
        raise ValueError(f'the images have {len(data.classes)} classes ({", ".join(data.classes[:MOST_NAMED])}, ...) '
                         f'and the teacher {num_classes}; give the images of its classes, or fine-tune it first')
    if classes is None or tuple(classes) == data.classes:
        return data, None
    if data.is_listed and set(classes) != set(data.classes) and all(name.isdigit() for name in data.classes):
        if odd := [name for name in data.classes if int(name) >= num_classes]:
            raise ValueError(f'the list has the class {odd[0]}, and the numbers of the {num_classes} classes of the '
                             f'teacher are 0 to {num_classes - 1}; number them from 0, or write their names')
        return replace(data, classes=tuple(classes), parts={split: replace(part, rows=tuple(
            (path, classes[int(label)]) for path, label in part.rows)) for split, part in data.parts.items()}), None
    if set(classes) != set(data.classes):
        odd = [name for name in classes if name not in data.classes]
        return data, (f'its classes have other names than the images ({odd[0]!r} is none of {data.classes[0]!r}, ...); '
                      'taken to be in the same order')
    first = next(i for i, (ours, theirs) in enumerate(zip(data.classes, classes, strict=True)) if ours != theirs)
    parts = {split: part if part.rows else _with_rows(data.root, part) for split, part in data.parts.items()}
    return (replace(data, classes=tuple(classes), parts=parts, is_listed=True),
            f'its classes are in another order than the folders ({first} is {classes[first]!r} there and '
            f'{data.classes[first]!r} here); the labels follow the teacher')


def _with_rows(root: Path, part: Part) -> Part:
    """A part of folders as a list."""
    folder = root / part.prefix
    return replace(part, prefix='', rows=tuple(
        (_path_from(root, path), name) for name in _classes(folder) for path in sorted((folder / name).rglob('*'))
        if path.suffix.lower() in IMAGES))
