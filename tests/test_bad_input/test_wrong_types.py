"""Every key of ours, and those of the host that a run reads, with values of a wrong type or out of range."""

import pytest
from conftest import names_value, put
from wrong_types import CASES

# What must be there for the key to be read.
BESIDE = {'teacher_cache.top_k': {'teacher_cache': dict(views=2)}}


@pytest.mark.parametrize('key, value', CASES, ids=[f'{key}={value!r}' for key, value in CASES])
def test_a_wrong_value_is_refused_with_its_key_and_what_to_do(refused, key, value):
    message = refused(lambda config: put(config, key, value), **BESIDE.get(key, {}))
    assert key.split('.')[-1] in message or key.split('.')[0] in message
    assert names_value(message, value)
    assert any(word in message for word in FIXES), message


FIXES = ('e.g. ', 'leave it out', 'xpected', 'without quotes', 'set ', 'Did you mean', 'write ', 'give ', 'drop ',
         'name ', 'correct the option', 'must stay', 'sort them', 'choose')
