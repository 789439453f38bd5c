"""A config as text: read without being executed, and written to be read by people."""

import ast
from collections.abc import Iterator
from typing import Any


class _CallsOfDict(ast.NodeTransformer):
    """``dict(a=1)`` as ``{'a': 1}``, which is a literal."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or any(
                word.arg is None for word in node.keywords):
            return node
        if len(node.args) == 1 and isinstance(node.args[0], ast.Dict) and not node.keywords:
            return node.args[0]  # the host's way to write keys that are no names
        if node.args:
            return node
        return ast.Dict([ast.Constant(word.arg) for word in node.keywords], [word.value for word in node.keywords])


def read_config_text(text: str) -> dict[str, Any]:
    """Name -> value of what a config's text assigns; what is no literal, a list or a ``dict(...)`` of them is left out.

    Raises:
        ValueError: If the text is no Python.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError) as error:
        raise ValueError(f'no text of a config: {error}') from error
    found = {}
    for node in body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(_CallsOfDict().visit(node.value))
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
    return found


def written(name: str, value: Any, width: int = 118) -> list[str]:
    """An assignment as lines of a config, as few as fit into a width; broken between items alone."""
    lines, indent = [''], '    '
    for piece in _pieces(f'{name} = ', value, ''):
        if lines[-1] and len(f'{lines[-1]} {piece}') > width:
            lines.append(indent + piece)
        else:
            lines[-1] = f'{lines[-1]} {piece}' if lines[-1] else piece
    return lines


def _pieces(before: str, value: Any, after: str) -> Iterator[str]:
    """The parts between which an expression may be broken: each ends with an item."""
    if not isinstance(value, (dict, list, tuple)) or not value:
        yield f'{before}{expression(value)}{after}'
        return
    if isinstance(value, dict):
        opening, closing = ('dict(', ')') if _is_call(value) else ('{', '}')
        items = [(f'{key}=' if _is_call(value) else f'{key!r}: ', item) for key, item in value.items()]
    else:
        opening, closing = '[]' if isinstance(value, list) else ('(', ',)' if len(value) == 1 else ')')
        items = [('', item) for item in value]
    for number, (name, item) in enumerate(items, 1):
        yield from _pieces(f'{before if number == 1 else ""}{opening if number == 1 else ""}{name}', item,
                           f'{closing}{after}' if number == len(items) else ',')


def expression(value: Any) -> str:
    """A value as an expression of one line, dicts as calls where their keys are names."""
    if isinstance(value, dict):
        if _is_call(value):
            return f'dict({", ".join(f"{key}={expression(item)}" for key, item in value.items())})'
        return '{' + ', '.join(f'{key!r}: {expression(item)}' for key, item in value.items()) + '}'
    if isinstance(value, (list, tuple)):
        items = ', '.join(map(expression, value))
        return f'[{items}]' if isinstance(value, list) else f'({items},)' if len(value) == 1 else f'({items})'
    if isinstance(value, Name):
        return str(value)
    return repr(value)


class Name(str):
    """An expression of Python that stands in a config as it is: the name of a variable."""


def _is_call(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) and key.isidentifier() for key in value)
