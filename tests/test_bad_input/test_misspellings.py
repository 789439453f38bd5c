"""Misspelt keys are refused with the key that was probably meant."""

import pytest
from malformed import put
from misspellings import CASES


@pytest.mark.parametrize('key, meant', CASES, ids=[key for key, _ in CASES])
def test_a_misspelt_key_is_refused_with_the_one_that_was_meant(refused, key, meant):
    message = refused(lambda config: put(config, key, {}))
    assert repr(key.split('.')[-1]) in message
    assert meant is None or f'did you mean {meant!r}' in message or f'Did you mean {meant}' in message
