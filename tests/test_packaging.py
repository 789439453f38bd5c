"""The wheel and the source distribution hold what mim and MMEngine look for, and work where the source tree is not."""

import ast
import email
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import own_vit
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mmamd

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY_ONLY = {'install.sh', 'quickstart.sh', 'run_tests.sh'}
LEFT_BY_A_BUILD = {'build', 'mmamd.egg-info'}


HANGS = 1800  # seconds: on a busy machine a training of the slow tier takes minutes


def run(*command, cwd, **environment):
    """Run a command outside the source tree and return what it printed."""
    inherited = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=HANGS,
                          env={**inherited, 'OMP_NUM_THREADS': '1', **environment})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file()}


# --- the archives ---

@pytest.fixture(scope='session')
def tree(tmp_path_factory):
    """A copy of the source tree, in which nothing was built yet."""
    tree = tmp_path_factory.mktemp('source') / 'tree'
    tree.mkdir()
    for name in ('mmamd', 'configs', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'CHANGELOG.md', 'LICENSE',
                 'model-index.yml'):
        shutil.copy(ROOT / name, tree)
    (tree / 'tests').mkdir()
    shutil.copy(__file__, tree / 'tests')
    return tree


@pytest.fixture(scope='session')
def archives(tree, tmp_path_factory):
    """The source distribution, and the wheel that is built from it alone."""
    folder = tmp_path_factory.mktemp('dist')
    before = files_below(tree)
    run(sys.executable, '-m', 'build', '--no-isolation', '--outdir', folder, tree, cwd=folder)
    left = {name for name in files_below(tree) - before if name.split('/')[0] not in LEFT_BY_A_BUILD}
    assert not left
    (sdist,), (wheel,) = folder.glob('*.tar.gz'), folder.glob('*.whl')
    return sdist, wheel


@pytest.fixture(scope='session')
def in_wheel(archives):
    return set(zipfile.ZipFile(archives[1]).namelist())


@pytest.fixture(scope='session')
def in_sdist(archives):
    with tarfile.open(archives[0]) as archive:
        return {member.name.split('/', 1)[1] for member in archive if member.isfile()}


def shipped_for_mim(root):
    """Tools, configs and model-index.yml of the source tree that a package is to carry."""
    names = {'model-index.yml', *(f'configs/{name}' for name in files_below(root / 'configs')),
             *(f'tools/{name}' for name in files_below(root / 'tools') if name not in REPOSITORY_ONLY)}
    return {f'mmamd/.mim/{name}' for name in names}


def test_wheel_holds_the_package_its_mim_folder_and_nothing_else(tree, in_wheel):
    info = f'mmamd-{mmamd.__version__}.dist-info'
    package = {f'mmamd/{name}' for name in files_below(tree / 'mmamd')}  # with files that are not modules
    assert {name for name in in_wheel if not name.startswith(info)} == package | shipped_for_mim(tree)
    assert f'{info}/licenses/LICENSE' in in_wheel


def test_sdist_holds_each_file_once_where_the_wheel_has_it(in_sdist, in_wheel):
    assert {name for name in in_wheel if name.startswith('mmamd/')} <= in_sdist
    assert {'LICENSE', 'README.md', 'CHANGELOG.md', 'setup.py', 'requirements/mminstall.txt'} <= in_sdist
    assert not {name for name in in_sdist if name.split('/')[0] in {'configs', 'tools', 'tests', 'model-index.yml'}}


def test_wheel_from_the_tree_is_that_from_the_sdist_also_after_an_older_build(tree, tmp_path, in_wheel):
    removed = tree / 'build' / 'lib' / 'mmamd' / '.mim' / 'configs' / 'amd' / 'removed_since.py'
    removed.parent.mkdir(parents=True, exist_ok=True)
    removed.write_text('')
    run(sys.executable, '-m', 'build', '--no-isolation', '--wheel', '--outdir', tmp_path, tree, cwd=tmp_path)
    (wheel,) = tmp_path.glob('*.whl')
    assert set(zipfile.ZipFile(wheel).namelist()) == in_wheel


def test_metadata_say_version_python_licence_and_extras(archives, in_wheel):
    (name,) = (name for name in in_wheel if name.endswith('.dist-info/METADATA'))
    metadata = email.message_from_bytes(zipfile.ZipFile(archives[1]).read(name))
    assert metadata['Name'] == 'mmamd'
    assert metadata['Version'] == mmamd.__version__
    assert set(metadata['Requires-Python'].split(',')) == {'>=3.10', '<3.13'}
    assert metadata['License-Expression'] == 'Apache-2.0'
    assert metadata.get_payload().startswith('# mmamd')
    extras = {path.stem for path in (ROOT / 'requirements').glob('*.txt')} - {'runtime', 'mminstall'} | {'mim', 'all'}
    assert set(metadata.get_all('Provides-Extra')) == extras
    requirements = metadata.get_all('Requires-Dist')
    # The host is not among the plain requirements: one wheel serves OpenMMLab's packages and their forks.
    assert not [line for line in requirements if 'extra' not in line and 'mm' in line.split()[0]]
    everything = [line for line in requirements if line.endswith('extra == "all"')]
    assert any(line.startswith('mmpretrain') for line in everything)
    assert not any(line.startswith('onedl') for line in everything)


def test_whatever_the_package_imports_is_a_requirement():
    lines = [line.split('#')[0] for path in (ROOT / 'requirements').glob('*.txt') if path.stem not in {'tests', 'docs'}
             for line in path.read_text().splitlines()]
    required = {canonicalize_name(Requirement(line).name) for line in lines if line.strip()}
    imported = set()
    for path in (ROOT / 'mmamd').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [
                node.module] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split('.')[0] for name in names}
    provided = {file.parts[0].removesuffix('.py') for distribution in importlib.metadata.distributions()
                if canonicalize_name(distribution.metadata['Name']) in required for file in distribution.files or []}
    absent = {'mmseg': 'mmsegmentation'}  # of another environment, where its files could be asked
    assert set(absent.values()) <= required
    assert not imported - sys.stdlib_module_names - {'mmamd'} - provided - set(absent)


def test_the_first_section_of_the_changelog_is_that_of_the_version():
    first, *others = re.findall(r'^## (.*)$', (ROOT / 'CHANGELOG.md').read_text(), re.MULTILINE)
    assert re.fullmatch(rf'{re.escape(mmamd.__version__)} \(\d{{4}}-\d\d-\d\d\)', first)
    assert not [section for section in others if section.startswith(mmamd.__version__)]


# --- the archives in use ---

def environment(folder):
    """A virtual environment that sees the packages of this one, but no source tree; returns its python."""
    run(sys.executable, '-m', 'venv', '--without-pip', folder, cwd=folder.parent)
    python = folder / 'bin' / 'python'
    # A path that a .pth file adds is searched for packages; the .pth files found there are not read. Setuptools' own
    # one gives Python 3.12 the distutils that MMEngine imports.
    Path(purelib_of(python), 'host.pth').write_text(
        f"{sysconfig.get_path('purelib')}\nimport _distutils_hack; _distutils_hack.add_shim()\n")
    return python


def purelib_of(python):
    return run(python, '-c', "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=python.parent).strip()


def install(python, *what):
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '-q', '--no-deps', '--no-index',
        '--no-build-isolation', *what, cwd=python.parent)


@pytest.fixture(scope='session')
def wheel_python(archives, tmp_path_factory):
    python = environment(tmp_path_factory.mktemp('wheel') / 'an environment')
    install(python, archives[1])
    return python


@pytest.fixture(scope='session')
def editable_python(tree, tmp_path_factory):
    python = environment(tmp_path_factory.mktemp('editable') / 'an environment')
    install(python, '-e', tree)
    return python


# In a process of its own: config's path, folder of the package -> loads all that is promised.
LOAD = """
import sys
from pathlib import Path
config, package = sys.argv[1:]

import mmamd
from mmamd.compat import shipped_config
from mmengine.config import Config
from mmengine.hub import get_config
assert Path(mmamd.__file__).parent == Path(package), mmamd.__file__
cfg = Config.fromfile(config)
assert cfg.model.type == 'mmamd.AMDDistiller' and cfg.model.architecture.head.num_classes == 17
assert get_config('mmamd::amd/vit-b_cifar100').compression.student_scale == 0.1
folder = shipped_config('mmamd::amd/vit-b_cifar100.py').parents[1]
names = [path.stem for path in sorted(folder.rglob('*.py')) if '_base_' not in path.parts and Config.fromfile(path)]
print(folder, *names, sep='\\n')
"""


@pytest.mark.parametrize('form, configs', [
    ('wheel', 'mmamd/.mim/configs'), pytest.param('editable', 'configs', marks=pytest.mark.slow)])
def test_configs_inherit_from_an_installed_mmamd(form, configs, tree, tmp_path, request):
    python = request.getfixturevalue(f'{form}_python')
    root = Path(purelib_of(python)) if form == 'wheel' else tree
    (tmp_path / 'mine.py').write_text("_base_ = 'mmamd::amd/vit-b_cifar100.py'\n"
                                      'model = dict(architecture=dict(head=dict(num_classes=17)))\n')
    folder, *names = run(python, '-c', LOAD, 'mine.py', root / 'mmamd', cwd=tmp_path).splitlines()
    assert Path(folder) == root / configs
    assert sorted(names) == sorted(path.stem for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)


def test_mim_finds_each_config_by_its_name_alone(in_wheel):
    # mim searches the whole package for the base name and refuses a name that it finds twice.
    for path in (ROOT / 'configs').rglob('*.py'):
        if '_base_' not in path.parts:
            assert len([name for name in in_wheel if name.split('/')[-1] == path.name]) == 1, path.name


SMALL = ['compression.importance.num_images=16', 'compression.importance.check_teacher=False',
         'joint.train_cfg.max_epochs=1', 'student.train_cfg.max_epochs=1',
         'joint.param_scheduler=[]', 'student.param_scheduler=[]', 'train_dataloader.num_workers=0',
         *(f'{part}_dataloader.dataset.dataset.indices=100' for part in ('train', 'val')),
         'test_dataloader.dataset.indices=20']


@pytest.mark.slow
def test_mim_trains_a_shipped_config_by_its_name_and_tests_what_it_exports(wheel_python, tmp_path):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        teacher = MODELS.build(Config.fromfile(ROOT / 'configs' / 'amd' / 'vit-tiny_digits.py').model.architecture)
    for parameter in teacher.parameters():  # not the initial weights: a head of zeros would make all units equal
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(parameter.numel()))
    torch.save({'state_dict': teacher.state_dict()}, tmp_path / 'teacher.pth')
    mim = [wheel_python, '-m', 'mim']
    run(*mim, 'train', 'mmamd', 'vit-tiny_digits.py', '--work-dir', 'run', '--cfg-options', 'model.teacher=teacher.pth',
        *SMALL, cwd=tmp_path)
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    assert summary['record']['versions']['mmamd'] == mmamd.__version__
    assert summary['record']['commit'] is None  # an installed package has none, whatever repository lies around it
    assert summary['record']['command'].startswith('mmamd/.mim/tools/train.py ')

    run(*mim, 'test', 'mmamd', 'run/student/config.py', '--checkpoint', 'run/student/student.pth',
        '--work-dir', 'test', '--out', 'metrics.json', '--out-item', 'metrics', cwd=tmp_path)
    accuracy = json.loads((tmp_path / 'metrics.json').read_text())['accuracy/top1'] / 100
    assert accuracy == pytest.approx(summary['student']['value'])


@pytest.mark.parametrize('name, arguments', [('dist_train.sh', ['config.py', '1']),
                                             ('dist_test.sh', ['config.py', 'model.pth', '1'])])
def test_scripts_of_the_wheel_start_the_tool_beside_them(name, arguments, wheel_python, tmp_path):
    script = Path(purelib_of(wheel_python), 'mmamd', '.mim', 'tools', name)
    # The interpreter says what it would run; on a node after the first, it is not asked about the port before.
    command = run(script, *arguments, cwd=tmp_path, PYTHON='/bin/echo', NNODES='2', NODE_RANK='1')
    assert str(script.with_name(name.removeprefix('dist_')).with_suffix('.py')) in command


def test_the_command_of_the_wheel_starts_without_torch(wheel_python, tmp_path):
    command = Path(wheel_python).with_name('mmamd')
    assert 'compress' in run(command, '--help', cwd=tmp_path)
    loaded = run(wheel_python, '-c', 'import sys, mmamd.cli.main; print("torch" in sys.modules)', cwd=tmp_path)
    assert loaded == 'False\n'


def test_mim_lists_every_model_of_the_index(wheel_python, tmp_path):
    run(wheel_python, '-m', 'mim', 'search', 'mmamd', '--json', 'found.json', cwd=tmp_path)
    found = json.loads((tmp_path / 'found.json').read_text())
    folders = ('amd', 'distpro', 'kd', 'kd_zero', 'scalekd', 'segmentation', 'teacher')
    shipped = {path.relative_to(ROOT).as_posix() for folder in folders
               for path in (ROOT / 'configs' / folder).glob('*.py') if not path.name.startswith('transfer_')}
    assert shipped == set(found['config'].values())


# --- a newcomer ---

def bare_python(folder):
    """A virtual environment with onnxruntime, pillow and what they need, and nothing else."""
    run(sys.executable, '-m', 'venv', '--without-pip', folder, cwd=folder.parent)
    python = folder / 'bin' / 'python'
    have = Path(purelib_of(python))
    for name in ('numpy', 'onnxruntime', 'pillow'):
        for top in {file.parts[0] for file in importlib.metadata.files(name) if file.parts[0] != '..'}:
            (have / top).symlink_to(Path(importlib.metadata.distribution(name).locate_file(top)))
    return python


def classes_said(lines):
    """Of lines 'folder/CLASS/image.png: CLASS 90.0%', (class of the folder, class that was said)."""
    return [(Path(path).parent.name, said.rpartition(' ')[0]) for path, said in (line.split(': ') for line in lines)]


def share_right(said):
    return sum(true == found for true, found in said) / len(said)


@pytest.mark.slow
def test_a_newcomer_has_a_small_model_without_a_line_of_code(wheel_python, tmp_path):
    """MMPretrain's own training, then every command of mmamd, then prediction where there is no mmamd."""
    own_vit.write_digits(tmp_path / 'digits')
    (tmp_path / 'own.py').write_text(own_vit.CONFIG)
    train = Path(sysconfig.get_path('purelib'), 'mmpretrain', '.mim', 'tools', 'train.py')
    run(wheel_python, train, 'own.py', '--work-dir', 'teacher', cwd=tmp_path)

    def command(*words):
        return run(wheel_python.with_name('mmamd'), *words, cwd=tmp_path)

    said = command('compress', f'teacher/epoch_{own_vit.EPOCHS}.pth', '--data', 'digits', '--to', '15%',
                   '--epochs', '10', '--work-dir', 'run', '--cfg-options', 'train_dataloader.num_workers=0')
    assert 'teacher: mmamd.MaskedViT, 10 classes, by its checkpoint' in said
    assert 'config: run.py' in said and len((tmp_path / 'run.py').read_text().splitlines()) <= 30
    summary = json.loads((tmp_path / 'run' / 'summary.json').read_text())
    teacher, student = summary['teacher'], summary['student']
    assert student['macs'] <= 0.15 * teacher['macs'] and teacher['value'] > 0.9
    assert student['value'] > 0.9 * teacher['value']
    assert f'the student has {student["value"] / teacher["value"]:.1%} of the teacher' in said
    assert (tmp_path / 'run' / 'report.html').is_file()
    assert f'student {100 * student["value"]:.2f}' in command('status', 'run')

    table = command('bench', 'run')
    timed = {(row['network'], row['runtime'], row['precision']) for row in json.loads(
        (tmp_path / 'run' / 'export' / 'bench.json').read_text())['networks']}
    assert timed == {('student', 'ONNX Runtime', 'int8'), *(
        (network, runtime, 'float32') for network in ('teacher', 'assistant', 'student')
        for runtime in ('torch', 'ONNX Runtime'))}
    assert all(len(re.findall(f'^{network} ', table, re.MULTILINE)) >= 2 for network in ('teacher', 'student'))

    written = command('export', 'run', '--form', 'onnx', 'int8', '--out', 'small')
    assert {path.name for path in (tmp_path / 'small').iterdir()} == {'model.onnx', 'model_int8.onnx', 'predict.py'}
    assert f'{100 * student["value"]:.2f} % in float32' in written

    named = classes_said(command('predict', 'run', 'digits/test').splitlines())
    assert share_right(named) == pytest.approx(student['value'])
    bare = bare_python(tmp_path / 'bare')
    absent = 'torch', 'cv2', 'mmengine', 'mmamd'
    run(bare, '-c', f'from importlib.util import find_spec; assert not any(map(find_spec, {absent}))', cwd=tmp_path)
    pictures = sorted((tmp_path / 'digits' / 'test').rglob('*.png'))
    floats, integers = (classes_said(run(bare, 'small/predict.py', f'small/{name}.onnx', *pictures, cwd=tmp_path)
                                     .splitlines()) for name in ('model', 'model_int8'))
    assert floats == named
    assert len(integers) == len(named) and share_right(integers) > share_right(named) - 0.05
