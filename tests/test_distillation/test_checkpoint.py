"""Weights from wherever they are, and a clear word when they do not fit."""

import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmamd.distillation.checkpoint import load_weights, read_weights
from mmamd.registry import MODELS


@pytest.fixture
def checkpoint_of(network_settings, tmp_path):
    """Function (classes, layers) -> checkpoint of such a network."""

    def make(classes=3, layers=2):
        arch = dict(network_settings['backbone']['arch'], num_layers=layers)
        network = MODELS.build(dict(network_settings, backbone=dict(network_settings['backbone'], arch=arch),
                                    head=dict(network_settings['head'], num_classes=classes)))
        torch.save(dict(state_dict=network.state_dict(), meta={}), tmp_path / 'teacher.pth')
        return str(tmp_path / 'teacher.pth')

    return make


@pytest.fixture
def network(network_settings):
    return MODELS.build(network_settings)


def test_weights_of_the_same_network_are_loaded(network, checkpoint_of):
    source = checkpoint_of()
    load_weights(network, source)
    saved = torch.load(source)['state_dict']
    assert all(torch.equal(value, saved[key]) for key, value in network.state_dict().items())


def test_a_training_checkpoint_of_the_distiller_is_read_as_the_network_it_trained(make_distiller, network, tmp_path):
    distiller = make_distiller()
    torch.save(dict(state_dict=distiller.state_dict(), optimizer={}), tmp_path / 'epoch_1.pth')
    load_weights(network, str(tmp_path / 'epoch_1.pth'))
    trained = distiller.network.state_dict()
    assert all(torch.equal(value, trained[key]) for key, value in network.state_dict().items())


def test_a_name_of_the_model_zoo_is_read_from_its_url(monkeypatch):
    asked = []
    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', lambda source, **_: asked.append(source) or {})
    read_weights('deit-tiny_4xb256_in1k')
    assert asked[0].startswith('https://') and asked[0].endswith('.pth') and 'deit-tiny' in asked[0]


@pytest.mark.parametrize('source', ['work_dirs/nowhere/teacher.pth', 'teacher.pth', 'no-such-model_in1k'])
def test_a_missing_checkpoint_is_named_with_what_to_do(network, source):
    with pytest.raises(FileNotFoundError, match=f"no teacher checkpoint at '{source}': expected a file, a URL, or the "
                                                'name of a model .* Train one with a config of configs/teacher/'):
        load_weights(network, source)


def test_another_number_of_classes_is_named_first(network, checkpoint_of):
    source = checkpoint_of(classes=5)
    with pytest.raises(ValueError, match=rf'{source} does not fit the network: head.fc.weight is \(5, 8\) in the '
                                         r'checkpoint and \(3, 8\) in the network; .*number of classes\), or give'):
        load_weights(network, source)


def test_a_deeper_network_is_named_by_what_is_unexpected(network, checkpoint_of):
    # A block has 12 parameters; three are named.
    with pytest.raises(ValueError, match=r'backbone.layers.2.ln1.weight is unexpected; .* \(and 9 more\). Expected a '
                                         r'checkpoint of exactly this network; make model.architecture .* \(depth'):
        load_weights(network, checkpoint_of(layers=3))


def test_a_shallower_network_is_named_by_what_is_missing(network, checkpoint_of):
    with pytest.raises(ValueError, match=r'backbone.layers.1.ln1.weight is missing from the checkpoint; .*9 more'):
        load_weights(network, checkpoint_of(layers=1))


def test_the_distiller_refuses_a_teacher_of_another_network(make_distiller, checkpoint_of):
    with pytest.raises(ValueError, match='does not fit the network: head.fc.weight'):
        make_distiller(teacher=checkpoint_of(classes=5))
