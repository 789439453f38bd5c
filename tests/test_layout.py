"""The folders depend on each other in one direction, and their components are found without being imported."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / 'mmamd'
FILES = sorted(path for path in PACKAGE.rglob('*.py')
               if path.parent != PACKAGE or path.stem in ('structures', 'passes'))

EVERYWHERE = {'registry', 'compat', 'version', 'nearest'}
CHAIN = ('structures', 'passes', 'pruning', 'backbones', 'weights', 'distillation', 'selection', 'pipeline')
ALLOWED = {part: set(CHAIN[:i]) for i, part in enumerate(CHAIN)}
ALLOWED['export'] = {'structures', 'backbones'}
ALLOWED['visualization'] = {'structures', 'pruning', 'selection'}
ALLOWED['datasets'] = set()
ALLOWED['pipeline'] |= {'export', 'visualization'}  # the end of the chain carries everything out


def part_of(path):
    """Folder, or file of the package's own folder, that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imported_modules(path):
    """Full names of all modules that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path} has a relative import; the direction is read from full names'
            # `from mmamd import compat` imports a module, `from mmamd.compat import apply` a name of one.
            yield from ([f'mmamd.{alias.name}' for alias in node.names] if node.module == 'mmamd' else [node.module])


def test_every_folder_has_its_place_in_the_order():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob('*.py'))}
    assert folders == ALLOWED.keys() - {'structures', 'passes'}


@pytest.mark.parametrize('part', ALLOWED)
def test_a_part_imports_only_what_comes_before_it(part):
    files = [path for path in FILES if part_of(path) == part]
    assert files
    found = {(str(path.relative_to(ROOT)), module) for path in files for module in imported_modules(path)
             if module.split('.')[0] == 'mmamd'}
    backwards = {(path, module) for path, module in found
                 if module.split('.')[1] not in ALLOWED[part] | EVERYWHERE | {part}}
    assert not backwards


@pytest.mark.parametrize('name', sorted(EVERYWHERE))
def test_what_everything_imports_imports_nothing_of_the_package(name):
    assert [module for module in imported_modules(PACKAGE / f'{name}.py') if module.split('.')[0] == 'mmamd'] == []


def test_nothing_imports_tools():
    paths = [*PACKAGE.rglob('*.py'), *(ROOT / 'tools').glob('*.py'), *(ROOT / 'tests').rglob('*.py')]
    assert [path for path in paths if 'tools' in {module.split('.')[0] for module in imported_modules(path)}] == []


def test_components_resolve_from_the_hosts_registries_without_custom_imports():
    # In a process of its own, that has not imported mmamd.
    code = """
import sys
from mmpretrain import registry
from mmengine.registry import RUNNERS
assert 'mmamd' not in sys.modules
for name, types in dict(MODELS='MaskedViT MaskedSwin AMDDistiller LogitLoss FeatureLoss DKDLoss',
                        DATASETS='HoldOut Digits',
                        HOOKS='SandwichSparsityHook NPSDSelectionHook EpochSeedHook',
                        LOOPS='JointTrainLoop CandidateValLoop').items():
    for type in types.split():
        assert getattr(registry, name).get(f'mmamd.{type}') is not None, type
assert RUNNERS.get('mmamd.MultiStepRunner') is not None
"""
    done = subprocess.run([sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': str(ROOT)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
