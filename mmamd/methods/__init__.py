"""Methods: which stages there are, and who teaches whom. Each file of this folder is one and registers itself.

Beside them stand the contract, ``method.py``; the builder for one student, ``plan.py``, and what the plans of several
have in common, ``laid.py``; and what those methods share that train their assistants by themselves.
"""

from importlib import import_module
from pkgutil import iter_modules

from mmamd.methods.amd import AMD
from mmamd.methods.kd import KD
from mmamd.methods.method import Method
from mmamd.methods.plan import Plan

for _module in iter_modules(__path__):
    import_module(f'{__name__}.{_module.name}')

__all__ = ['AMD', 'KD', 'Method', 'Plan']
