"""What a distiller is composed of: transforms of knowledge, distances and calibrations, each a pure function.

Each file of this folder is found by itself and registers its operations under the names of KD-Zero's Table 1.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f'{__name__}.{_module.name}')
