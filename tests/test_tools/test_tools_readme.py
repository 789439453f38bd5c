"""tools/README.md describes every tool, and every option there is, and no other."""

import re
import shlex

import pytest
from command_line import TOOLS, parser_of

README = (TOOLS / 'README.md').read_text()
SECTIONS = dict(re.findall(r'^## ([^\n]+)\n(.*?)(?=^## |\Z)', README, re.MULTILINE | re.DOTALL))
PYTHON = sorted(path.name for path in TOOLS.glob('*.py'))
SHELL = sorted({path.name for path in TOOLS.glob('*.sh')} - {'install.sh', 'launch.sh'})


def example(name):
    """Words of the tool's example behind its name."""
    block, = re.findall(r'^```bash\n(.*?)\n```', SECTIONS[name], re.MULTILINE | re.DOTALL)
    before, _, after = block.partition(f'tools/{name}')
    assert before is not block
    return shlex.split(after)


def test_every_tool_has_a_section_and_every_section_a_tool():
    assert sorted(SECTIONS) == sorted([*PYTHON, *SHELL, 'install.sh and launch.sh'])


@pytest.mark.parametrize('name', PYTHON)
def test_the_described_arguments_are_those_of_the_help(name, monkeypatch):
    cells = ' '.join(re.findall(r'^\| (.*?) \|', SECTIONS[name], re.MULTILINE))
    described = set(re.findall(r'`([^`]+)`', cells))
    actions = parser_of(TOOLS / name, monkeypatch)._actions[1:]  # the first is --help
    assert described == {word for action in actions for word in action.option_strings or [action.dest]}


@pytest.mark.parametrize('name', PYTHON)
def test_the_example_is_understood(name, monkeypatch):
    parser = parser_of(TOOLS / name, monkeypatch)
    parser.exit = parser.error = lambda *args: pytest.fail(f'{name}: {args}')
    parser.parse_args(example(name))


@pytest.mark.parametrize('name', PYTHON)
def test_no_tool_has_an_option_that_mim_would_fill_in(name, monkeypatch):
    # mim appends --gpus to the arguments of a script whose help speaks of it.
    assert '--gpus' not in parser_of(TOOLS / name, monkeypatch).format_help()


@pytest.mark.parametrize('name', SHELL)
def test_the_described_environment_is_read(name):
    cells = ' '.join(re.findall(r'^\| (.*?) \|', SECTIONS[name], re.MULTILINE))
    text = (TOOLS / name).read_text() + (TOOLS / 'launch.sh').read_text()
    assert [word for word in re.findall(r'`(\w+)`', cells) if f'${{{word}' not in text] == []
    assert example(name) is not None


@pytest.mark.parametrize('name', PYTHON)
def test_a_tool_parses_and_calls(name):
    # train.py and test.py write MMPretrain's many arguments into the config.
    lines = len((TOOLS / name).read_text().splitlines())
    assert lines <= (100 if name in ('train.py', 'test.py') else 50)
