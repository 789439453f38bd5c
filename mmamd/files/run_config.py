"""The config of a run as data: ``run_config.json``. The ``run_config.py`` beside it is for people, and never executed.

JSON has no tuples, and texts alone as keys. What it has not is written as a dict of one key that no config has.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmamd.files.json_file import is_name, read_json, write_json

FILE, FOR_PEOPLE = 'run_config.json', 'run_config.py'
TUPLE, ITEMS = '__tuple__', '__items__'


def encode(value: Any, where: str = '') -> Any:
    """Config values as JSON. A class or a function becomes the name that it is imported by.

    Raises:
        ValueError: If a value is no data, such as a tensor or a lambda; it names the key.
    """
    if isinstance(value, dict):
        _check_names(value, where)
        items = {key: encode(item, f'{where}.{key}'.lstrip('.')) for key, item in value.items()}
        if all(isinstance(key, str) for key in items) and not {TUPLE, ITEMS} & items.keys():
            return items
        return {ITEMS: [[encode(key, where), item] for key, item in items.items()]}
    if isinstance(value, (list, tuple)):
        items = [encode(item, f'{where}[{i}]') for i, item in enumerate(value)]
        return {TUPLE: items} if isinstance(value, tuple) else items
    if isinstance(value, str):
        return _check_text(str(value), where)
    if value is None or type(value) in (bool, int, float):
        return value
    if callable(value) and '<' not in getattr(value, '__qualname__', '<'):  # two lambdas have one name
        return f'{value.__module__}.{value.__qualname__}'
    raise ValueError(f'{where} is {value!r}, a {type(value).__name__}, which cannot be kept as data; expected plain '
                     'values: numbers, texts, lists, tuples and dicts, or the name of a class or function')


def decode(value: Any) -> Any:
    """What :func:`encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return _check_text(value, 'a value') if isinstance(value, str) else value
    if value.keys() == {TUPLE}:
        return tuple(map(decode, value[TUPLE]))
    if value.keys() == {ITEMS}:
        items = {decode(key): decode(item) for key, item in value[ITEMS]}
        _check_names(items, 'a dict')
        return items
    return {key: decode(item) for key, item in value.items()}


def _check_names(keys: Iterable, where: str) -> None:
    odd = next((key for key in keys if isinstance(key, str) and not is_name(key)), None)
    if odd is not None:
        raise ValueError(f'{where or "the config"} has the key {odd!r}; expected a name without quotes, backslashes, '
                         'braces and line breaks, which the host cannot write into a config')


def _check_text(text: str, where: str) -> str:
    # The host would put an environment variable there when it reads a config that it has written, and not escape it.
    if '{{' in text:
        raise ValueError(f'{where} is {text!r}; expected a text without {{{{, which has a meaning in a config file')
    return text


def write_run_config(cfg: Config, work_dir: Path) -> None:
    """Write a run's config as data, and as text for people. Raises what :func:`encode` raises."""
    write_json(work_dir / FILE, encode(cfg.to_dict()))
    cfg.dump(work_dir / FOR_PEOPLE)


def read_run_config(work_dir: str | Path) -> Config:
    """The config of a run, from data.

    Raises:
        FileNotFoundError: If there is none, as in runs of earlier versions.
        ValueError: If it is damaged.
    """
    path = Path(work_dir) / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{work_dir} holds no {FILE}" + (
                f' beside its {FOR_PEOPLE}, which is not executed: the run is of an earlier version; give its command '
                'again, which writes it and skips what is finished' if (Path(work_dir) / FOR_PEOPLE).is_file() else
                ', so no run; give the work_dir of a run of tools/train.py'))
    return read_json(path, lambda raw: Config(decode(raw)))


def import_custom(cfg: Config, work_dir: str | Path) -> None:
    """Import the modules of ``custom_imports`` that a run's config names, which are the user's own.

    Raises:
        ValueError: If one of them would be imported from the work_dir, which is data.
    """
    imports = cfg.get('custom_imports') or {}
    names = imports.get('imports') or []
    for name in [names] if isinstance(names, str) else names:
        found = importlib.util.find_spec(name.partition('.')[0])  # imports nothing
        places = [*(found.submodule_search_locations or []), *filter(None, [found.origin])] if found else []
        if any(Path(place).resolve().is_relative_to(Path(work_dir).resolve()) for place in places):
            raise ValueError(f'custom_imports names {name}, which lies in {work_dir}; nothing of a work_dir is '
                             'executed: put the module elsewhere on the PYTHONPATH')
        try:
            importlib.import_module(name)
        except ImportError:
            if not imports.get('allow_failed_imports', False):
                raise
