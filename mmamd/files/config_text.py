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
    """An assignment as lines of a config, as few as fit into a width."""
    return list(_packed(f'{name} = ', value, '', '', width))


def _packed(before: str, value: Any, after: str, indent: str, width: int) -> Iterator[str]:
    line = f'{indent}{before}{expression(value)}{after}'
    if len(line) <= width or not isinstance(value, (dict, list, tuple)) or not value:
        yield line
        return
    opening, closing = ('dict(', ')') if _is_call(value) else ('{', '}') if isinstance(value, dict) else (
        '[', ']') if isinstance(value, list) else ('(', ')')
    items = ([(f'{key}=' if _is_call(value) else f'{key!r}: ', item) for key, item in value.items()]
             if isinstance(value, dict) else [('', item) for item in value])
    yield f'{indent}{before}{opening}'
    row, inner = '', f'{indent}    '
    for number, (name, item) in enumerate(items, 1):
        last = number == len(items)
        text = f'{name}{expression(item)}{f"{closing}{after}" if last else ","}'
        if row and len(f'{inner}{row} {text}') > width:
            yield inner + row
            row = ''
        if not row and len(inner + text) > width:
            yield from _packed(name, item, f'{closing}{after}' if last else ',', inner, width)
        else:
            row = f'{row} {text}'.lstrip()
    if row:
        yield inner + row


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
