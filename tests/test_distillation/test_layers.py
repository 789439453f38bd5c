import pytest
import torch.nn as nn

from mmamd.distillation.layers import check_layer, layer_pair


@pytest.mark.parametrize('layer', ['last', ('a', 'b'), ['a', 'b']])
def test_the_last_layer_or_a_pair_of_names(layer):
    assert check_layer(layer) == layer


@pytest.mark.parametrize('layer', ['first', ('a',), ('a', 'b', 'c'), (1, 2), ('a', 2), 3, None])
def test_anything_else_is_refused(layer):
    with pytest.raises(ValueError, match="layer must be 'last' or a pair of names"):
        check_layer(layer)


def test_a_term_may_know_another_word():
    assert check_layer('logits', ('last', 'logits')) == 'logits'
    with pytest.raises(ValueError, match="layer must be 'last', 'logits' or a pair"):
        check_layer('logit', ('last', 'logits'))


def test_a_term_may_know_no_word():
    assert check_layer(('a', 'b'), ()) == ('a', 'b')
    with pytest.raises(ValueError, match="layer must be a pair of names of modules, .*got 'last'"):
        check_layer('last', ())


def test_the_last_states_of_one_architecture(make_distiller):
    distiller = make_distiller()
    assert layer_pair('last', distiller.network, distiller.teacher) == [('backbone.layers.1', 'backbone.layers.1')]


def test_another_architecture_is_told_to_name_its_layer():
    with pytest.raises(ValueError, match=r"needs layer=\('<its module>', '<the teacher's>'\)"):
        layer_pair('last', nn.Sequential(), nn.Sequential())


def test_modules_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="of the teacher: Sequential has no module '1'"):
        layer_pair(('0', '1'), nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU()))
