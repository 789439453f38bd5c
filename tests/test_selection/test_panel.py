"""Networks of one file of weights are slices of one module, each with batch norm statistics of its own."""

from dataclasses import asdict

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.runner import Runner
from mmpretrain.structures import DataSample

from mmamd.backbones.recalibration import batch_norms, save_statistics, statistics
from mmamd.registry import MODELS
from mmamd.selection.panel import Panel
from mmamd.structures import Cost, Network
from mmamd.weights.networks import build_network

ARCHITECTURE = dict(
    type='ImageClassifier', _scope_='mmpretrain', backbone=dict(type='mmamd.MaskedCifarResNet', depth=20, img_size=8),
    neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=3, in_channels=64))
OTHER = dict(ARCHITECTURE, backbone=dict(type='mmamd.WideResNet', depth=10))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Weights of two networks, and statistics of a candidate and of the whole network, all 0.25 and all 4."""
    folder = tmp_path_factory.mktemp('panel')
    generator = torch.Generator().manual_seed(0)
    for name, architecture in {'shared.pth': ARCHITECTURE, 'again.pth': ARCHITECTURE, 'other.pth': OTHER}.items():
        network = MODELS.build(dict(architecture))
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
        torch.save(network.state_dict(), folder / name)
    own = statistics(MODELS.build(dict(ARCHITECTURE)))
    save_statistics({key: {name: torch.full_like(value, number) for name, value in own.items()}
                     for key, number in (('0.50', 0.25), ('1.00', 4))}, folder / 'statistics.pth')
    return folder


@pytest.fixture
def described(folder):
    """Function that describes a network of the folder as a config of the panel has it."""
    half = {group.name: group.count // 2 for group in MODELS.build(dict(ARCHITECTURE)).backbone.unit_groups()}

    def describe(weights='shared.pth', scale=0.5, has_statistics=False, architecture=ARCHITECTURE):
        kept = half if scale < 1 and architecture is ARCHITECTURE else None
        own = str(folder / 'statistics.pth') if has_statistics else None
        return asdict(Network(architecture, str(folder / weights), scale, kept, Cost(1, 1), own))
    return describe


def means_of(module):
    """The values that the running means of a network have."""
    return set(torch.cat([norm.running_mean for norm in batch_norms(module)]).tolist())


def test_networks_of_one_file_share_a_module_and_separate_files_do_not(described):
    panel = Panel(dict(teacher=described('again.pth', 1.0), small=described(), full=described(scale=1.0),
                       other=described('other.pth', architecture=OTHER)))
    assert panel.ready('small') is panel.ready('full')
    assert len({id(panel.ready(name)) for name in panel.networks}) == len(panel.judged) == 3
    assert not any(module.training for network in panel.judged for module in network.modules())


def test_a_network_that_is_ready_runs_as_what_it_keeps(described):
    panel = Panel(dict(small=described(), full=described(scale=1.0)))
    image = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = [panel.ready(name)(image).flatten() for name in ('small', 'full', 'small', 'full')]
    assert torch.equal(outputs[0], outputs[2]) and torch.equal(outputs[1], outputs[3])
    assert not torch.allclose(outputs[0], outputs[1])
    alone = Panel(dict(small=described())).ready('small')
    assert torch.equal(outputs[0], alone(image).flatten())


def test_each_network_gets_its_batch_norm_statistics_back_when_it_is_ready(described):
    panel = Panel({'0.50': described(has_statistics=True), 'full': described(scale=1.0, has_statistics=True)})
    for name, mean in (('0.50', 0.25), ('full', 4.), ('0.50', 0.25)):
        assert means_of(panel.ready(name)) == {mean}, name


@pytest.mark.parametrize('has_statistics', [True, False], ids=['those of another are first', 'it is first'])
def test_a_network_without_statistics_of_its_own_runs_with_those_of_its_weights(described, has_statistics):
    panel = Panel(dict(first=described(has_statistics=has_statistics),
                       second=described(has_statistics=not has_statistics)))
    own, without = ('first', 'second') if has_statistics else ('second', 'first')
    for name, mean in ((without, 0.), (own, 0.25), (without, 0.)):  # untrained norms have the mean 0
        assert means_of(panel.ready(name)) == {mean}, name


def test_a_panel_is_built_from_a_config_and_does_not_change_it(described):
    networks = dict(small=described(), full=described(scale=1.0))
    before = repr(networks)
    panel = MODELS.build(dict(type='mmamd.Panel', networks=networks))
    assert repr(networks) == before
    assert panel.networks['small'] == Network.from_dict(networks['small'])


class FirstScore(BaseMetric):
    """Mean probability of the first class."""

    def process(self, data_batch, data_samples):
        self.results += [float(sample['pred_score'][0]) for sample in data_samples]

    def compute_metrics(self, results):
        return {'score': sum(results) / len(results)}


@pytest.mark.parametrize('first', ['teacher', 'student'])
def test_each_network_is_judged_on_images_that_its_own_preprocessor_has_made(described, first, tmp_path):
    plain = dict(mean=[100., 110., 120.], std=[50.] * 3, to_rgb=True)
    other = dict(mean=[1., 2., 3.], std=[200., 250., 300.], to_rgb=False)
    networks = dict(
        teacher=described('again.pth', 1., architecture=dict(ARCHITECTURE, data_preprocessor=plain)),
        student=described('other.pth', architecture=dict(OTHER, data_preprocessor=other)))
    networks = {first: networks.pop(first), **networks}
    images = torch.randint(0, 256, (6, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    runner = Runner(
        Panel(networks), str(tmp_path), val_evaluator=[FirstScore()], val_cfg=dict(type='mmamd.CandidateValLoop'),
        val_dataloader=dict(
            dataset=[dict(inputs=image, data_samples=DataSample()) for image in images], batch_size=4,
            collate_fn=dict(type='default_collate'), sampler=dict(type='DefaultSampler', shuffle=False)),
        log_level='ERROR', default_scope='mmpretrain')
    found = runner.val()
    for name, network in networks.items():
        alone = build_network(Network.from_dict(network))
        said = alone.test_step(dict(inputs=images, data_samples=[DataSample() for _ in images]))
        expected = torch.stack([sample.pred_score[0] for sample in said]).mean().item()
        assert found[f'{name}/score'] == pytest.approx(expected, abs=1e-6), name


def test_a_panel_has_no_output_of_its_own(described):
    with pytest.raises(NotImplementedError, match='ask for a network with ready'):
        Panel(dict(small=described()))(torch.zeros(1, 3, 8, 8))
