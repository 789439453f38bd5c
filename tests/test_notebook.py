"""The notebook of the documentation runs from top to bottom, and shows what it printed when it was run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CELLS = json.loads((ROOT / 'docs' / 'compress_digits.ipynb').read_text())['cells']
CODE = [cell for cell in CELLS if cell['cell_type'] == 'code']


def test_every_cell_compiles_and_was_run_in_order_without_an_error():
    for number, cell in enumerate(CODE, 1):
        compile(''.join(cell['source']), f'cell {number}', 'exec')
        assert cell['execution_count'] == number
        assert {output['output_type'] for output in cell['outputs']} <= {'stream'}
    assert '/tmp' not in json.dumps(CELLS) and '/home' not in json.dumps(CELLS)


def test_the_pages_that_the_notebook_links_to_exist():
    links = re.findall(r'\]\(([^)]+)\)', ''.join(line for cell in CELLS for line in cell['source']))
    assert {link for link in links if link.endswith('.md')} and all((ROOT / 'docs' / link).is_file() for link in links)


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    script = tmp_path / 'notebook.py'
    script.write_text('\n\n'.join(''.join(cell['source']) for cell in CODE))
    done = subprocess.run([sys.executable, script], cwd=tmp_path, text=True, capture_output=True, timeout=300,
                          env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    shares = dict(re.findall(r'^(teacher|student): .*, ([\d.]+)% of the test images right$', done.stdout, re.MULTILINE))
    assert float(shares['teacher']) > 90 and float(shares['student']) > 80
    said = re.findall(r'^(\S.*/digit 3/\d+\.png): (digit \d) [\d.]+%$', done.stdout, re.MULTILINE)
    assert len(said) == 6 and said[:3] == said[3:]  # by mmamd predict, then by predict.py
