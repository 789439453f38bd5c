"""The section ``losses`` of a config: named terms, or what is wrong with them."""

import math

import pytest

from mmamd.distillation.losses import LogitLoss, build_terms

ALL = dict(ce=dict(type='mmamd.TaskLoss'), logit=dict(type='mmamd.LogitLoss', temperature=2.),
           feat=dict(type='mmamd.FeatureLoss', weight=0.5))


def test_terms_are_built_in_their_order_with_their_options_and_weights():
    terms = build_terms(ALL)
    assert list(terms) == ['ce', 'logit', 'feat']
    assert isinstance(terms['logit'], LogitLoss) and terms['logit'].temperature == 2.
    assert [term.weight for term in terms.values()] == [1., 1., 0.5]


def test_the_section_is_left_as_it_is():
    before = {name: dict(term) for name, term in ALL.items()}
    build_terms(ALL)
    assert ALL == before


@pytest.mark.parametrize('name', ALL)
def test_every_ablation_is_reached_by_weight_zero(name):
    terms = build_terms({**ALL, name: dict(ALL[name], weight=0)})
    assert set(terms) == set(ALL) - {name}


def test_all_weights_zero_are_refused():
    with pytest.raises(ValueError, match=r"all loss weights are 0, got losses of \['ce', 'logit', 'feat'\]"):
        build_terms({name: dict(term, weight=0.) for name, term in ALL.items()})


@pytest.mark.parametrize('weight', [-1.0, math.nan, math.inf, True, '1'])
def test_a_weight_that_is_negative_or_no_number_is_refused_by_name(weight):
    with pytest.raises(ValueError, match=rf'losses.feat(: |\.)weight must be a finite number.*, got {weight!r}; '):
        build_terms({**ALL, 'feat': dict(type='mmamd.FeatureLoss', weight=weight)})


@pytest.mark.parametrize('losses, message', [
    (dict(ce=1.0), "losses.ce=1.0 is no term: .*write losses.ce=dict\\(type='mmamd.TaskLoss', weight=1.0\\)"),
    (dict(ALL, temperature=4.), 'losses.temperature=4.0 is no term: .*write losses.logit.temperature'),
    (dict(ALL, feat_layers=[1]), 'write losses.feat.layers'),
    (dict(ALL, mine=3), "write losses.mine=dict\\(type='mmamd....', weight=...\\)")])
def test_the_spelling_of_earlier_versions_is_refused_with_the_new_one(losses, message):
    with pytest.raises(ValueError, match=message):
        build_terms(losses)


@pytest.mark.parametrize('losses, message', [
    (dict(a=dict(type='mmamd.LogitsLoss')), "losses.a: there is no term of type 'mmamd.LogitsLoss'; expected one of .*"
                                            'Did you mean mmamd.LogitLoss'),
    (dict(a=dict(weight=1.)), 'losses.a: there is no term of type None; expected one of'),
    (dict(a=dict(type='mmamd.MaskedViT')), "there is no term of type 'mmamd.MaskedViT'"),
    (dict(a=dict(type='mmamd.LogitLoss', temprature=1.)), "losses.a: LogitLoss has no option 'temprature'; expected .*"
                                                          'Did you mean temperature.*losses.a._delete_=True'),
    (dict(a=dict(type='mmamd.LogitLoss', temperature=0.)), 'losses.a: temperature must be a positive finite number'),
    ({'the loss': dict(type='mmamd.LogitLoss')}, "a term's name must be a word"),
    ({'my_loss': dict(type='mmamd.LogitLoss')}, "does not contain 'loss', got 'my_loss'"),
    ({'decode.ce': dict(type='mmamd.LogitLoss')}, "a term's name must be a word"),
    ({}, 'all loss weights are 0, got losses of no name')])
def test_what_is_no_term_is_refused_by_its_name(losses, message):
    with pytest.raises(ValueError, match=message):
        build_terms(losses)
