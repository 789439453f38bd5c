"""What a value must be, said the same way wherever it is refused: what was expected, what was got, what to do."""

import ast
import inspect
import math
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Kind:
    """A kind of values.

    Attributes:
        name: What a value of it is, in an error: ``'a positive integer'``.
        holds: Whether a value is of it.
        example: One, as it is written in a config.
    """

    name: str
    holds: Callable[[Any], bool]
    example: str

    def __or__(self, other: 'Kind') -> 'Kind':
        joint = ', or' if ', ' in self.name else ' or'
        return Kind(f'{self.name}{joint} {other.name}', lambda value: self.holds(value) or other.holds(value),
                    self.example)


def check(key: str, value: Any, kind: Kind, fix: str = '') -> None:
    """Raise ValueError unless a value is of a kind; ``fix`` says what to do, by default an example."""
    if kind.holds(value):
        return
    unquoted = _unquoted(value)
    if unquoted is not value and kind.holds(unquoted):
        fix = f'write {key}={unquoted!r}, without quotes'
    raise ValueError(f'{key} must be {kind.name}, got {value!r}; {fix or f"e.g. {key}={kind.example}"}')


def check_arguments(where: str, function: Callable, arguments: dict) -> None:
    """Raise ValueError for the first argument that is not what the annotation of a class or function says."""
    own = function.__init__ if isinstance(function, type) else function
    hints = get_type_hints(own, include_extras=True)
    for name, parameter in inspect.signature(own).parameters.items():
        kind = kind_of(hints.get(name))
        default = parameter.default
        if name in arguments and kind is not None and arguments[name] is not default:
            is_plain = isinstance(default, (bool, int, float, str, list, tuple, type(None)))
            check(f'{where}.{name}', arguments[name], kind, f'leave it out for {default!r}' if is_plain else '')


def kind_of(annotation: Any) -> Kind | None:
    """The kind that an annotation stands for; None for any value."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return next((each for each in inner if isinstance(each, Kind)), kind_of(inner[0]))
    if origin is Literal:
        return one_of(inner)
    if origin in (Union, types.UnionType):
        kinds = [kind_of(each) for each in inner]
        if None in kinds:
            return None
        first, *others = kinds
        for other in others:
            first |= other
        return first
    if origin is dict or is_dataclass(annotation):
        return SECTION
    if origin is tuple and inner[-1] is not Ellipsis:
        return list_of(kind_of(inner[0]), length=len(inner))
    if origin in (list, tuple, Sequence):
        # Items of several kinds make no sentence; what takes them says it better.
        return list_of(None if get_origin(inner[0]) in (Union, types.UnionType) else kind_of(inner[0]))
    return None


# --- kinds ---

def integer(least: int, most: int | None = None) -> Kind:
    name = 'a positive integer' if least == 1 else f'an integer of at least {least}'
    return Kind(name + (f' and at most {most}' if most is not None else ''),
                lambda value: _is_integer(value) and least <= value and (most is None or value <= most), f'{least}')


def number(least: float = -math.inf, most: float = math.inf, above: float = -math.inf, below: float = math.inf,
           example: str = '0.1') -> Kind:
    """Finite numbers within bounds."""
    name = 'a finite number' + (f' of at least {least:g}' if least > -math.inf else '') + (
        f' of at most {most:g}' if most < math.inf else '') + (
        f' above {above:g}' if above > -math.inf else '') + (f' and below {below:g}' if below < math.inf else '')
    return Kind(name, lambda value: _is_number(value) and least <= value <= most and above < value < below, example)


def one_of(values: Sequence) -> Kind:
    return Kind(f'one of {", ".join(map(repr, values))}',
                lambda value: any(type(value) is type(each) and value == each for each in values), repr(values[0]))


def list_of(kind: Kind | None, length: int | None = None) -> Kind:
    of = f'{"" if length is None else f" of {length}"}{"" if kind is None else f", each {kind.name},"}'
    example = '...' if kind is None else kind.example
    return Kind(f'a list{of}' if kind is None else f'a list{of}'.removesuffix(','), lambda value: isinstance(
        value, (list, tuple)) and (length is None or len(value) == length) and (
        kind is None or all(map(kind.holds, value))), f'[{example}]')


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _unquoted(value: Any) -> Any:
    """What a text says that was meant to be no text; the value itself where it says nothing."""
    try:
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        return value


ANY = Kind('anything', lambda value: True, '...')
NOTHING = Kind('None', lambda value: value is None, 'None')
FLAG = Kind('True or False', lambda value: isinstance(value, bool), 'True')
TEXT = Kind('a text', lambda value: isinstance(value, str), "'...'")
SECTION = Kind('a section, dict(...)', lambda value: isinstance(value, dict) or is_dataclass(value), 'dict(...)')
COUNT = integer(1)
PLAIN = {bool: FLAG, int: Kind('an integer', _is_integer, '1'), float: number(), str: TEXT, dict: SECTION,
         list: list_of(None), tuple: list_of(None), type(None): NOTHING, None: None}

Count = Annotated[int, COUNT]
Whole = Annotated[int, integer(0)]
Positive = Annotated[float, number(above=0.)]
Scale = Annotated[float, number(above=0., below=1., example='0.3')]  # the fraction of the teacher that is kept
