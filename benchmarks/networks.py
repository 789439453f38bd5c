"""What is measured: the networks of the recipes, families of candidates of random importance, joint steps."""

import argparse
import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from side_by_side import precision
from torch.utils.data import DataLoader, Dataset

import mmamd.backbones  # noqa: F401  registers them
from mmamd.distillation import AMDDistiller, JointTrainLoop
from mmamd.pruning.candidates import make_family
from mmamd.pruning.complexity import cost_function, network_cost
from mmamd.registry import MODELS
from mmamd.structures import CandidateFamily, Importance, Network

MODEL_CONFIGS = Path(__file__).resolve().parent.parent / 'configs' / '_base_' / 'models'
NETWORKS = {'ViT-S/16': 'vit-s-p16_100-classes', 'ViT-B/16': 'vit-b-p16_100-classes',
            'Swin-T': 'swin-t-p4w7_100-classes', 'ViT-micro': 'vit-micro-p4_100-classes',
            'Swin-micro': 'swin-micro-p2w4_100-classes'}
HOSTS = {'mmamd.MaskedViT': 'VisionTransformer', 'mmamd.MaskedSwin': 'SwinTransformer'}
NINE = tuple(i / 10 for i in range(1, 10))
STEP = 8  # widths of a dense network are multiples of it


def architecture(name: str | dict) -> dict:
    """Config of a network by its name in the tables, or that of its file; a config is its own."""
    if isinstance(name, dict):
        return copy.deepcopy(name)
    return Config.fromfile(MODEL_CONFIGS / f'{NETWORKS.get(name, name)}.py').architecture.to_dict()


def build(config: dict, device: str = 'cpu') -> nn.Module:
    """A network in training mode, weights as they are drawn."""
    init_default_scope('mmpretrain')
    return MODELS.build(copy.deepcopy(config)).to(device).train()


def host_config(config: dict) -> dict:
    """The same network of the host's own class."""
    config = copy.deepcopy(config)
    config['backbone']['type'] = HOSTS[config['backbone']['type']]
    return config


def with_host(config: dict, device: str) -> tuple[nn.Module, nn.Module]:
    """The elastic network and the host's own, with the same weights."""
    elastic, host = build(config, device), build(host_config(config), device)
    host.load_state_dict(elastic.state_dict())
    return elastic, host


def random_family(network: nn.Module, scales: Sequence[float] = NINE, **settings) -> CandidateFamily:
    """Nested candidates, of scores drawn from a fixed seed; all kinds of units are pruned."""
    generator = torch.Generator().manual_seed(0)
    groups = network.backbone.unit_groups()
    scores = {group.name: torch.rand(group.count, generator=generator).tolist() for group in groups}
    kinds = list(dict.fromkeys(group.kind for group in groups))
    return make_family(groups, Importance(scores, 1, 'sample'), cost_function(network), scales,
                       **{'prune': kinds, **settings})


def dense_config(config: dict, macs: int) -> dict:
    """A ViT of the same depth, patches and head, of uniform width, with MACs nearest to those given.

    It has as many heads as divide its width, as wide as the teacher's where it is that wide itself or wider, and about
    four neurons a channel.
    """
    backbone = build(config).backbone
    head_dims = backbone.layers[0].attn.head_dims

    def of(width: int, neurons: int) -> dict:
        num_heads = next(n for n in range(max(width // head_dims, 1), 0, -1) if width % n == 0)
        arch = dict(embed_dims=width, num_layers=backbone.num_layers, num_heads=num_heads, feedforward_channels=neurons)
        return {**config, 'backbone': {**config['backbone'], 'arch': arch},
                'head': {**config['head'], 'in_channels': width}}

    def nearest(configs: Iterable[dict]) -> dict:
        return min(configs, key=lambda each: abs(network_cost(build(each)).macs - macs))

    arch = nearest(of(w, 4 * w) for w in range(STEP, backbone.embed_dims + 1, STEP))['backbone']['arch']
    return nearest(of(arch['embed_dims'], neurons) for neurons in range(STEP, 6 * arch['embed_dims'] + 1, STEP))


def images(network: nn.Module, batch_size: int, device: str = 'cpu') -> torch.Tensor:
    """Random images of the network's size, shape (N, channels, height, width)."""
    return torch.randn(batch_size, *network.backbone.input_shape, generator=torch.Generator().manual_seed(0)).to(device)


def samples(network: nn.Module, batch_size: int, device: str = 'cpu') -> list[DataSample]:
    """Annotations of as many images."""
    classes = network.head.num_classes
    return [DataSample().set_gt_label(i % classes).to(device) for i in range(batch_size)]


def add_names(parser: argparse.ArgumentParser) -> None:
    """The argument that says which networks are measured."""
    parser.add_argument('--network', nargs='+', default=['ViT-S/16', 'Swin-T'], choices=NETWORKS, dest='names')


def distiller(name: str | dict, scales: Sequence[float] = NINE, device: str = 'cpu', *,
              num_candidates: int | None = None, **settings) -> AMDDistiller:
    """A distiller of an untrained teacher, with the smallest of a family of random importance; all by default."""
    config = architecture(name)
    init_default_scope('mmpretrain')
    family = random_family(build(config), scales)
    teacher = asdict(Network(config, None, cost=family.teacher_cost))
    candidates = list(map(asdict, family.candidates[:num_candidates]))
    made = AMDDistiller(architecture=config, teacher=teacher, candidates=candidates,
                        data_preprocessor=dict(type='ClsDataPreprocessor', mean=[0.] * 3, std=[1.] * 3), **settings)
    return made.to(device).train()


def joint_loop(model: nn.Module, options: argparse.Namespace, **optimizer) -> JointTrainLoop:
    """The loop that runs joint steps, without the rest of a runner."""
    wrapper = Autocast(torch.optim.AdamW(model.parameters(), **{'lr': 0., **optimizer}), options)
    runner = SimpleNamespace(model=model, optim_wrapper=wrapper, visualizer=SimpleNamespace())
    return JointTrainLoop(runner, DataLoader(NoImages()), max_epochs=1)


def raw_batch(network: nn.Module, batch_size: int, device: str = 'cpu') -> dict:
    """What a loader hands over."""
    return dict(inputs=list(images(network, batch_size, device)), data_samples=samples(network, batch_size, device))


class Autocast(OptimWrapper):
    """MMEngine's wrapper in the precision that the benchmark was asked for."""

    def __init__(self, optimizer: torch.optim.Optimizer, options: argparse.Namespace) -> None:
        super().__init__(optimizer)
        self.options = options

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), precision(self.options):
            yield


class NoImages(Dataset):
    """A loop wants a loader; the batches are given to its steps directly."""

    metainfo: dict = {}

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        return index
