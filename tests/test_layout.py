"""The folders depend on each other in one direction, and their components are found without being imported."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / 'mmamd'
FILES = sorted(path for path in PACKAGE.rglob('*.py')
               if path.parent != PACKAGE or path.stem in ('structures', 'passes'))

EVERYWHERE = {'registry', 'checks', 'compat', 'version', 'nearest', 'seeds', 'configured_hook', 'lazy', 'notices',
              'channel_order'}
CHAIN = ('files', 'structures', 'passes', 'pruning', 'backbones', 'weights', 'distillation', 'selection', 'pipeline',
         'methods', 'search')
ALLOWED = {part: set(CHAIN[:i]) for i, part in enumerate(CHAIN)}
ALLOWED['tasks'] = {'files', 'structures', 'passes'}
for part in ('distillation', 'selection', 'pipeline', 'search'):
    ALLOWED[part].add('tasks')
ALLOWED['export'] = {'files', 'structures', 'backbones'}
ALLOWED['visualization'] = {'files', 'structures', 'pruning', 'weights', 'selection'}
ALLOWED['datasets'] = set()
ALLOWED['pipeline'] |= {'export', 'visualization'}  # it carries everything out
ALLOWED['cli'] = {*CHAIN, 'tasks', 'export', 'api'}
MOST_LINES, MOST_CODE_LINES = 300, 45  # of a file, of a function


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


def graph():
    """File -> files of the package that it imports when it is imported itself; packages stand for what they hand on."""
    modules = {'.'.join(path.relative_to(ROOT).with_suffix('').parts): path for path in PACKAGE.rglob('*.py')}
    edges = {}
    for name, path in modules.items():
        found = set()
        for node in ast.parse(path.read_text()).body:  # not inside functions, nor under TYPE_CHECKING
            if isinstance(node, ast.ImportFrom) and node.module in modules | {m[:-9]: 0 for m in modules if
                                                                             m.endswith('.__init__')}:
                inner = {f'{node.module}.{alias.name}' for alias in node.names} & modules.keys()
                found |= inner or {node.module if node.module in modules else f'{node.module}.__init__'}
        edges[name] = found
    return edges


def test_no_circle_of_imports():
    edges, done = graph(), set()

    def visit(name, trail):
        assert name not in trail, f'a circle: {" -> ".join([*trail[trail.index(name):], name])}'
        if name not in done:
            for other in sorted(edges[name]):
                visit(other, [*trail, name])
            done.add(name)

    for name in edges:
        visit(name, [])


def test_no_file_is_too_long_to_be_read_at_once():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PACKAGE.rglob('*.py')}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def code_lines(function, lines):
    """Lines of a function without its docstring, blank lines and comments."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 0
    first = function.lineno
    skipped = range(function.body[0].lineno, function.body[0].end_lineno + 1) if ast.get_docstring(function) else ()
    return sum(bool(lines[i - 1].strip()) and not lines[i - 1].strip().startswith('#') and i not in skipped
               for i in range(first, function.end_lineno + 1))


def test_no_function_is_too_long_to_be_understood_at_once():
    found = {}
    for path in PACKAGE.rglob('*.py'):
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and code_lines(node, lines) > MOST_CODE_LINES:
                found[f'{path.relative_to(ROOT)}:{node.name}'] = code_lines(node, lines)
    assert found == {}


def test_only_the_task_and_what_it_is_built_of_know_segmentation():
    known = ('tasks/segmentation.py', 'backbones/', 'datasets/', 'export/forms.py')
    others = [path for path in PACKAGE.rglob('*.py') if not path.relative_to(PACKAGE).as_posix().startswith(known)]
    assert [path for path in others if 'mmseg' in {module.split('.')[0] for module in imported_modules(path)}] == []
    assert [path for path in others if re.search('decode_head|gt_sem_seg', path.read_text())] == []


def test_the_runner_reaches_methods_by_the_registry_alone():
    pipeline = [path for path in (PACKAGE / 'pipeline').rglob('*.py')]
    assert pipeline and not [path for path in pipeline if any(
        module.startswith('mmamd.methods') for module in imported_modules(path))]


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
for name, types in dict(MODELS='MaskedViT MaskedSwin AMDDistiller TaskLoss LogitLoss FeatureLoss DKDLoss Panel',
                        DATA_SAMPLERS='StreamSampler',
                        DATASETS='HoldOut Digits RepeatedViews',
                        HOOKS='SandwichSparsityHook NPSDSelectionHook EpochSeedHook',
                        LOOPS='JointTrainLoop CandidateValLoop ProcessSearchLoop').items():
    for type in types.split():
        assert getattr(registry, name).get(f'mmamd.{type}') is not None, type
assert RUNNERS.get('mmamd.MultiStepRunner') is not None
from mmamd.registry import METHODS
assert {'AMD', 'KD'} <= {name for name in 'AMD KD'.split() if METHODS.get(f'mmamd.{name}') is not None}
assert 'mmseg' not in sys.modules, 'only what is built on MMSegmentation imports it'
sys.modules['mmseg'] = None  # as if it were not installed
for type in ('MaskedMiT', 'MaskedResNetV1c'):
    try:
        registry.MODELS.get(f'mmamd.{type}')
    except ImportError as error:
        assert f'{type} is built on MMSegmentation, which cannot be imported' in str(error), error
        assert 'pip install mmcv==2.1.0 mmsegmentation==1.2.2' in str(error), error
    else:
        raise AssertionError(type)
"""
    done = subprocess.run([sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': str(ROOT)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
