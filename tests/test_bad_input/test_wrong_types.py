"""Every key of ours, and those of the host that a run reads, with values of a wrong type or out of range."""

import re

import pytest
from malformed import names_value, put
from wrong_types import CASES

# What must be there for the key to be read.
BESIDE = {'teacher_cache.top_k': {'teacher_cache': dict(views=2)}}
# What to do: the end of the sentence, what was expected, or a config that would do.
FIX = re.compile(r'; \w|[Ee]xpected|Did you mean|needs model=dict')


@pytest.mark.parametrize('key, value', CASES, ids=[f'{key}={value!r}' for key, value in CASES])
def test_a_wrong_value_is_refused_with_its_key_and_what_to_do(refused, key, value):
    message = refused(lambda config: put(config, key, value), **BESIDE.get(key, {}))
    assert any(name in message for name in (key.split('.')[-1], key.split('.')[0], key.replace('_', '-')))
    assert names_value(message, value)
    assert FIX.search(message), message
