"""Networks that are judged side by side."""

from dataclasses import replace
from typing import Any

import torch.nn as nn
from mmengine.model import BaseModel

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.backbones.recalibration import load_statistics, restore_statistics, statistics
from mmamd.distillation.renormalisation import renormalisation
from mmamd.registry import MODELS
from mmamd.structures import Network
from mmamd.weights.networks import build_network


@MODELS.register_module()
class Panel(BaseModel):
    """Some networks, each ready when it is asked for; those of one file of weights are slices of one module.

    Args:
        networks: Name -> fields of :class:`mmamd.structures.Network`.
        data_preprocessor: Not read: each batch is preprocessed as the first network wants it, and from that normalised
            anew for those that want it otherwise.
    """

    def __init__(self, networks: dict[str, dict], data_preprocessor: Any = None) -> None:
        described = {name: Network.from_dict(dict(raw)) for name, raw in networks.items()}
        modules: dict[tuple, nn.Module] = {}
        for network in described.values():
            place = str(network.architecture), network.weights
            if place not in modules:
                modules[place] = build_network(replace(network, statistics=None))
        first = next(iter(modules.values())).data_preprocessor
        super().__init__(data_preprocessor=first)
        self.networks = described
        self._module_of = {name: modules[str(each.architecture), each.weights] for name, each in described.items()}
        self.judged = nn.ModuleList(modules.values())
        self._renormalisations = nn.ModuleList(renormalisation(first, each.data_preprocessor) for each in self.judged)
        self._renormalisation_of = dict(zip(self.judged, self._renormalisations, strict=True))
        files = {network.statistics for network in described.values() if network.statistics is not None}
        self._statistics = {file: load_statistics(file) for file in files}
        self._own_statistics = {module: statistics(module) for module in modules.values()}

    def ready(self, name: str) -> nn.Module:
        """The module that is a network now, with its own batch norm statistics, or those of its weights."""
        network, module = self.networks[name], self._module_of[name]
        if isinstance(module.backbone, ElasticBackbone):
            module.backbone.activate(network.kept)
        # Also of a network that has none of its own: another slice of the module may have run before it.
        restore_statistics(module, self._own_statistics[module] if network.statistics is None else
                           self._statistics[network.statistics][network.key])
        return module

    def predict(self, name: str, data: dict) -> list:
        """What a network says of a batch, preprocessed as the first one wants it."""
        module = self.ready(name)
        return module(**{**data, 'inputs': self._renormalisation_of[module](data['inputs'])}, mode='predict')

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        raise NotImplementedError('a panel has no output of its own; ask for a network with ready(name)')
