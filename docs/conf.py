"""Sphinx settings: `python -m sphinx -W -b html docs docs/_build/html`."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

project = 'mmamd'
author = 'the mmamd authors'
release = version = re.search(r"__version__ = '(.+)'", (ROOT / 'mmamd' / 'version.py').read_text()).group(1)

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
myst_heading_anchors = 3
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'mmamd {release}'
html_static_path = ['_static']
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # the signatures carry them
