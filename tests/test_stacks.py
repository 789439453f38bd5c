"""`nox` runs the tests over the stacks that docs/stacks.md says were tested, by tools/run_tests.sh."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOSTS = {(False, False): 'mminstall', (True, False): 'onedl', (False, True): 'seg', (True, True): 'onedl-seg'}


@pytest.fixture
def noxfile(monkeypatch):
    """What noxfile.py defines, without nox, which no environment of the tests needs."""
    def as_it_is(*_, **__):
        return lambda function: function

    monkeypatch.setitem(sys.modules, 'nox', SimpleNamespace(session=as_it_is, parametrize=as_it_is))
    found = {}
    exec(compile((ROOT / 'noxfile.py').read_text(), 'noxfile.py', 'exec'), found)
    return SimpleNamespace(**found)


def test_the_stacks_of_nox_are_those_of_the_page(noxfile):
    rows = re.findall(r'^\| (3\.\d+)\.\d+ \| ([\d.]+), torchvision ([\d.]+)(?:, numpy ([\d.]+))? \| ([^|]+)',
                      (ROOT / 'docs' / 'stacks.md').read_text(), re.MULTILINE)
    assert len(rows) >= 7
    assert noxfile.STACKS == [
        (*row[:4], HOSTS[row[4].startswith('onedl'), 'mmsegmentation' in row[4]]) for row in rows]


def test_the_oldest_torch_of_nox_is_the_oldest_that_is_allowed_and_that_the_pages_name(noxfile):
    oldest = min((torch for _, torch, *_ in noxfile.STACKS), key=lambda text: [int(part) for part in text.split('.')])
    allowed = re.search(r'^torch>=([\d.]+)', (ROOT / 'requirements' / 'runtime.txt').read_text(), re.MULTILINE)[1]
    assert oldest == f'{allowed}.0'
    for page, words in (('README.md', f'# {allowed} to '), ('docs/get_started.md', f'PyTorch {allowed} to ')):
        assert words in (ROOT / page).read_text()


def test_a_stack_is_said_to_the_script_that_makes_it(noxfile):
    asked = []
    session = SimpleNamespace(posargs=['-k', 'pruning'], run=lambda *words, external, env: asked.append((words, env)))
    noxfile.tests(session, '3.12', '2.13.0', '0.28.0', '', 'mminstall')
    noxfile.tests(session, '3.11', '2.6.0', '0.21.0', '1.26.4', 'mminstall')
    (words, environment), (_, oldest) = asked
    assert words == ('bash', 'tools/run_tests.sh', '-k', 'pruning')
    assert environment == {'VENV': '.venv-3.12-2.13.0-mminstall', 'PYTHON': 'python3.12', 'HOST': 'mminstall',
                           'TORCH': 'torch==2.13.0 torchvision==0.28.0'}
    assert oldest['TORCH'] == 'torch==2.6.0 torchvision==0.21.0 numpy==1.26.4'
    script = (ROOT / 'tools' / 'install.sh').read_text()
    assert all(f'${{{name}:-' in script for name in environment)  # its defaults give way to them
