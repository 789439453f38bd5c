"""Packaging of mmamd. `tools/install.sh` makes the environment that the project is developed in.

`mim` and MMEngine look for the tools and configs of an installed package in its folder `.mim`. The source tree keeps
them beside the package; the two commands below put them where they are looked for, into the wheel and into the source
distribution, and leave no copy in the source tree.
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
MIM = 'mmamd/.mim'
REPOSITORY_ONLY = {'install.sh', 'quickstart.sh', 'run_tests.sh'}  # they make an environment beside themselves


def mim_root() -> str:
    """Where the files of `.mim` lie, relative to this file: an unpacked source distribution has them in place."""
    return '.' if (HERE / 'configs').is_dir() else MIM


def mim_files() -> list[str]:
    """model-index.yml, configs and tools, relative to `mim_root`."""
    root = HERE / mim_root()
    files = [root / 'model-index.yml']
    for folder, suffixes in (('configs', {'.py', '.yml', '.md'}), ('tools', {'.py', '.sh', '.md'})):
        files += (path for path in (root / folder).rglob('*')
                  if path.suffix in suffixes and path.name not in REPOSITORY_ONLY)
    return sorted(path.relative_to(root).as_posix() for path in files)


class BuildWithMim(build_py):
    """The package, and `.mim` as if it were package data of it."""

    def run(self) -> None:
        if not self.editable_mode:
            # What an earlier build left there and the source no longer has would live on in the wheel.
            shutil.rmtree(Path(self.build_lib) / 'mmamd', ignore_errors=True)
        super().run()

    def _get_data_files(self) -> list[tuple[str, str, str, list[str]]]:
        return [*super()._get_data_files(), ('mmamd', mim_root(), f'{self.build_lib}/{MIM}', mim_files())]


class SourceWithMim(sdist):
    """What the wheel is built of, with `.mim` in place."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        moved = {name: f'{MIM}/{name}' for name in mim_files()} if mim_root() == '.' else {}
        super().make_release_tree(base_dir, [name for name in files if name.removeprefix('./') not in moved])
        for source, target in moved.items():
            self.mkpath(str(Path(base_dir, target).parent))
            self.copy_file(source, str(Path(base_dir, target)))


def requirements(name: str) -> list[str]:
    """The requirements of ``requirements/<name>.txt`` without comments."""
    lines = (line.split('#')[0].strip() for line in (HERE / 'requirements' / f'{name}.txt').read_text().splitlines())
    return [line for line in lines if line]


def extras() -> dict[str, list[str]]:
    """One a file of requirements/; `all` without other stacks, which must not be installed beside what they replace."""
    named = {path.stem: requirements(path.stem) for path in sorted((HERE / 'requirements').glob('*.txt'))}
    del named['runtime']
    named['mim'] = named.pop('mminstall')  # the family's name for it
    others = 'onedl', 'onedl-seg', 'seg'
    named['all'] = sorted({line for name, lines in named.items() if name not in others for line in lines})
    return named


def version() -> str:
    return re.search(r"__version__ = '(.+)'", (HERE / 'mmamd' / 'version.py').read_text()).group(1)


setup(
    name='mmamd',  # mim looks for a distribution of the package's name
    version=version(),
    description='Automatic multi-step distillation (AMD, ECCV 2024) for MMEngine and MMPretrain',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    keywords='model compression, knowledge distillation, structured pruning, vision transformer, OpenMMLab',
    license_expression='Apache-2.0',
    license_files=['LICENSE'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['mmamd', 'mmamd.*']),
    package_data={'': ['*.j2']},  # the template of the report
    install_requires=requirements('runtime'),
    extras_require=extras(),
    entry_points={'console_scripts': ['mmamd = mmamd.cli.main:main']},
    cmdclass={'build_py': BuildWithMim, 'sdist': SourceWithMim},
    zip_safe=False)  # mim and MMEngine open the configs as files
