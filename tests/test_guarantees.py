"""Whatever is guaranteed names a test that exists, in the tier that is said."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = re.findall(r'^\| (.+) \| (.+) \| (.*?) ?\|$', (ROOT / 'docs' / 'guarantees.md').read_text(), re.MULTILINE)
GUARANTEES = [row for row in ROWS if row[0] not in ('guaranteed', '---')]


def is_slow(test):
    return any(ast.unparse(decorator) == 'pytest.mark.slow' for decorator in test.decorator_list)


@pytest.mark.parametrize('guarantee, tests, tier', GUARANTEES, ids=[row[0][:60] for row in GUARANTEES])
def test_a_guarantee_is_held_by_tests_that_exist(guarantee, tests, tier):
    names = re.findall(r'`(tests/[\w/]+\.py)::(\w+)`', tests)
    assert names and tier in ('', 'slow')
    for file, name in names:
        found = {node.name: node for node in ast.parse((ROOT / file).read_text()).body
                 if isinstance(node, ast.FunctionDef)}
        assert name in found, f'{file} has no test {name}'
        assert is_slow(found[name]) == (tier == 'slow'), f'{name} is not of the tier that is said'


def test_there_are_guarantees_of_each_kind():
    assert len(GUARANTEES) >= 20
