"""The tables of the paper as data: a file a table, and what runs and prints any of them."""

from importlib import import_module
from pkgutil import iter_modules

from tables.table import TABLES

for _module in iter_modules(__path__):
    import_module(f'{__name__}.{_module.name}')

__all__ = ['TABLES']
