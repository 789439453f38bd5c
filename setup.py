"""Packaging of mmamd. `tools/install.sh` makes the environment that the project is developed in."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The requirements of ``requirements/<name>.txt`` without comments."""
    lines = (line.split('#')[0].strip() for line in (HERE / 'requirements' / f'{name}.txt').read_text().splitlines())
    return [line for line in lines if line]


def version() -> str:
    return re.search(r"__version__ = '(.+)'", (HERE / 'mmamd' / 'version.py').read_text()).group(1)


setup(
    name='mmamd',  # mim looks for a distribution of the package's name
    version=version(),
    description='Automatic multi-step distillation (AMD, ECCV 2024) for MMEngine and MMPretrain',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['mmamd', 'mmamd.*']),
    install_requires=requirements('runtime'),
    extras_require={
        'mim': requirements('mminstall'),
        'tests': requirements('tests'),
        'all': requirements('mminstall') + requirements('tests'),
    })
