"""Random values of other types than a key takes: refused by name, whatever they are."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed import names_value, put, said

import mmamd
from mmamd.checks import COUNT, FLAG, NOTHING, SECTION, TEXT, list_of, number

EXAMPLES = 10
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text('abc01.- ', max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text('ab', min_size=1, max_size=2), inner,
                                                                 max_size=2), max_leaves=3)
# Key -> what it takes: everything else must be refused.
TAKES = {
    'compression.num_candidates': COUNT, 'compression.scales': list_of(number()) | NOTHING,
    'compression.importance.batch_size': COUNT, 'compression.prune': list_of(TEXT),
    'compression.budget': number() | NOTHING, 'method.tune_epochs': number(), 'model.losses.ce.weight': number(),
    'custom_hooks.1.percent': FLAG, 'custom_hooks.1.lam': number(), 'joint.train_cfg.max_epochs': COUNT,
    'optim_wrapper.optimizer.lr': number(), 'train_dataloader': SECTION, 'train_dataloader.batch_size': COUNT,
    'randomness.seed': number(0.) | NOTHING, 'resume': FLAG}


@pytest.mark.parametrize('key', TAKES)
def test_any_value_of_another_kind_is_refused_by_name(read_once, tmp_path_factory, record_property, key):
    record_property('inputs', EXAMPLES)
    work_dir = tmp_path_factory.getbasetemp() / 'random' / key

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))
    @given(VALUES.filter(lambda value: not TAKES[key].holds(value)))
    def refused(value):
        config = copy.deepcopy(read_once)
        put(config, key, value)
        message = said(lambda: mmamd.compress(config, work_dir=work_dir), work_dir)
        assert f'{key.split(".")[-1]} must be' in message and names_value(message, value) and '; ' in message

    refused()
