"""Networks as files: what a stage has made, and the one place where such a network is built and loaded.

A stage that makes networks writes ``<stage>/networks.json`` last: key -> :class:`mmamd.structures.Network`. Others name
a network by a reference: ``'student'`` where the stage has made one, ``'joint@0.50'`` where it has made several. A
stage that has judged networks of others names them in ``<stage>/judged.json``: key in its table -> reference.
"""

import copy
from dataclasses import asdict, replace
from pathlib import Path

import torch.nn as nn
from mmengine.config import ConfigDict

from mmamd.backbones.recalibration import load_statistics, restore_statistics
from mmamd.files.json_file import read_json, write_json
from mmamd.nearest import did_you_mean
from mmamd.registry import MODELS
from mmamd.structures import Network
from mmamd.weights.checkpoint import load_weights

FILE = 'networks.json'


def build_network(network: Network) -> nn.Module:
    """The network with its weights, uncut, in eval mode, running as what it keeps.

    Raises:
        ValueError, FileNotFoundError: If its weights do not fit, or are not there.
    """
    # The host writes defaults into the dicts it builds from; a shared one would carry them to the next network.
    # ConfigDict: MMSegmentation reads test_cfg by attributes.
    module = MODELS.build(ConfigDict(copy.deepcopy(network.architecture)))
    if network.weights is not None:
        load_weights(module, network.weights)
    if network.statistics is not None:
        restore_statistics(module, load_statistics(network.statistics)[network.key])
    if network.kept is not None:
        module.backbone.activate(network.kept)
    return module.eval()


def as_network(source: str | dict | None, architecture: dict) -> Network:
    """A network from the dict of its fields, or of an architecture from a mere source of weights."""
    return Network.from_dict(dict(source)) if isinstance(source, dict) else Network(architecture, source)


def with_preprocessor(architecture: dict, data_preprocessor: dict | None) -> dict:
    """A copy of a network's config that has a preprocessor: its own, or else the one given."""
    architecture = copy.deepcopy(dict(architecture))
    if data_preprocessor is not None:
        architecture.setdefault('data_preprocessor', copy.deepcopy(data_preprocessor))
    return architecture


def save_networks(work_dir: Path, stage: str, networks: dict[str, Network]) -> None:
    """Write what a stage has made, the last thing it does. Paths inside the work_dir are stored relative to it."""
    def stored(path: str | None) -> str | None:
        inside = path is not None and Path(path).is_relative_to(work_dir)
        return str(Path(path).relative_to(work_dir)) if inside else path

    write_json(work_dir / stage / FILE, {key: asdict(replace(
        network, weights=stored(network.weights), statistics=stored(network.statistics)))
        for key, network in networks.items()})


def read_networks(work_dir: str | Path, stage: str) -> dict[str, Network]:
    """What a stage has made, by key, in its order; paths inside the work_dir are whole.

    Raises:
        FileNotFoundError: If the stage has made no networks.
    """
    work_dir = Path(work_dir)
    path = work_dir / stage / FILE
    if not path.is_file():
        made = sorted(found.parent.name for found in work_dir.glob(f'*/{FILE}'))
        raise FileNotFoundError(f"the stage '{stage}' of {work_dir} has made no networks; there are those of "
                                f'{", ".join(made) or "no stage"}{did_you_mean(stage, made)}')

    def whole(name: str | None) -> str | None:
        return str(work_dir / name) if name is not None and (work_dir / name).is_file() else name

    found = read_json(path, lambda raw: {key: Network.from_dict(each) for key, each in raw.items()})
    return {key: replace(network, weights=whole(network.weights), statistics=whole(network.statistics))
            for key, network in found.items()}


def find_network(work_dir: str | Path, reference: str) -> Network:
    """The network that a reference names.

    Raises:
        FileNotFoundError: If the stage has made no networks.
        ValueError: If it has none of that key, or several and the reference names none of them.
    """
    stage, _, key = reference.partition('@')
    networks = read_networks(work_dir, stage)
    if not key and len(networks) == 1:
        return next(iter(networks.values()))
    if key not in networks:
        raise ValueError(f'no network {reference!r} in {work_dir}: the stage has made '
                         f'{", ".join(f"{stage}@{key}" for key in networks)}{did_you_mean(key, networks)}')
    return networks[key]


def save_judged(work_dir: Path, stage: str, references: dict[str, str]) -> None:
    """Write which networks a stage has judged: key in its table -> reference."""
    write_json(work_dir / stage / 'judged.json', references)


def read_judged(work_dir: str | Path, stage: str) -> dict[str, Network]:
    """The networks that a stage has judged, by their keys in its table."""
    return read_json(Path(work_dir) / stage / 'judged.json', lambda references: {
        key: find_network(work_dir, reference) for key, reference in references.items()})


def load_network(work_dir: str | Path, reference: str) -> nn.Module:
    """The network of a run that a reference names, on the CPU, in eval mode; see :func:`build_network`."""
    return build_network(find_network(work_dir, reference))
