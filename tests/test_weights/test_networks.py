"""A network is a file: written by the stage that made it, found by a reference, built in one place."""

import json
from dataclasses import replace

import pytest
import torch

from mmamd.registry import MODELS
from mmamd.structures import Cost, Network
from mmamd.weights.networks import (
    build_network,
    find_network,
    load_network,
    read_judged,
    read_networks,
    save_judged,
    save_networks,
)

WRN = dict(type='mmpretrain.ImageClassifier', backbone=dict(type='mmamd.MaskedWideResNet', depth=10, img_size=8),
           neck=dict(type='mmpretrain.GlobalAveragePooling'),
           head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=64))


@pytest.fixture
def run(tmp_path, network_settings, settings):
    """A work_dir in which a joint stage has made two networks and a student stage one."""
    folder = tmp_path / 'run'
    (folder / 'joint').mkdir(parents=True)
    weights = folder / 'joint' / 'shared.pth'
    weights.write_bytes(open(settings['teacher'], 'rb').read())
    kept = {f'{each["scale"]:.2f}': each['kept'] for each in settings['candidates']}
    networks = {key: Network(network_settings, str(weights), float(key), kept[key], Cost(3, 2)) for key in ('0.10',
                                                                                                          '0.50')}
    save_networks(folder, 'joint', networks)
    save_networks(folder, 'student', {'0.10': networks['0.10']})
    return folder


def test_what_is_written_is_read_and_moves_with_its_folder(run, tmp_path):
    before = read_networks(run, 'joint')
    moved = run.rename(tmp_path / 'moved')
    after = read_networks(moved, 'joint')
    assert list(after) == ['0.10', '0.50']
    assert after['0.50'].weights == str(moved / 'joint' / 'shared.pth')
    assert replace(after['0.50'], weights='') == replace(before['0.50'], weights='')
    assert json.loads((moved / 'joint' / 'networks.json').read_text())['0.50']['weights'] == 'joint/shared.pth'


def test_the_users_own_paths_stay_as_given(run):
    save_networks(run, 'nest', {'1.00': Network({}, 'timm:vit_tiny_patch16_224')})
    assert find_network(run, 'nest').weights == 'timm:vit_tiny_patch16_224'


def test_a_reference_names_one_network_and_it_runs_as_what_it_keeps(run, settings):
    module = load_network(run, 'joint@0.50')
    assert not module.training
    assert {name: branch.active for name, branch in module.backbone.branches()} == settings['candidates'][1]['kept']
    assert find_network(run, 'student').scale == 0.1


def test_a_network_has_batch_norm_statistics_of_its_own(tmp_path):
    whole = MODELS.build(WRN)
    torch.save({'state_dict': whole.state_dict()}, tmp_path / 'w.pth')
    own = {name: buffer + 1 for name, buffer in whole.named_buffers() if 'running' in name or 'num_batches' in name}
    torch.save({'0.50': own}, tmp_path / 's.pth')
    module = build_network(Network(WRN, str(tmp_path / 'w.pth'), 0.5, None, None, str(tmp_path / 's.pth')))
    assert all(torch.equal(buffer, own[name]) for name, buffer in module.named_buffers() if name in own)


def test_building_writes_nothing_into_the_description(run):
    network = find_network(run, 'student')
    before = json.dumps(network.architecture)
    build_network(network)
    assert json.dumps(network.architecture) == before


def test_judged_networks_are_those_that_the_references_name(run):
    save_judged(run, 'select', {'0.10': 'joint@0.10', 'student': 'student'})
    assert read_judged(run, 'select') == {'0.10': find_network(run, 'joint@0.10'),
                                          'student': find_network(run, 'student')}


@pytest.mark.parametrize('reference, error, message', [
    ('joint', ValueError, r"no network 'joint' in .*: the stage has made joint@0.10, joint@0.50"),
    ('joint@0.5', ValueError, "no network 'joint@0.5' .*Did you mean 0.50"),
    ('jiont@0.50', FileNotFoundError, "the stage 'jiont' of .* has made no networks; there are those of joint, "
                                      'student. Did you mean joint'),
    ('select', FileNotFoundError, "the stage 'select' of")])
def test_a_reference_that_names_no_network_is_answered_with_those_there_are(run, reference, error, message):
    with pytest.raises(error, match=message):
        find_network(run, reference)
