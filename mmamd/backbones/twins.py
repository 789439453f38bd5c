"""The elastic twin of a plain backbone: the same arguments, parameters and function, able to run as any candidate."""

import copy
from typing import Any

import mmamd.backbones  # noqa: F401  registers the backbones
from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.registry import MODELS

# The host's names of variants of a backbone -> the arguments that make them of it.
VARIANTS = {'ResNetV1c': dict(deep_stem=True), 'ResNetV1d': dict(deep_stem=True, avg_down=True)}


def with_elastic_backbone(architecture: Any) -> Any:
    """The config of a network over the elastic twin of its backbone; itself where it is elastic or has no twin."""
    backbone = architecture.get('backbone') if isinstance(architecture, dict) else None
    kind = backbone.get('type') if isinstance(backbone, dict) else None
    twin, arguments = _twin_with_arguments(kind) if isinstance(kind, str) else (None, {})
    if twin is None:
        return architecture
    architecture = copy.deepcopy(architecture)
    architecture['backbone'].update(arguments, type=twin)
    return architecture


def twin_of(kind: str) -> str | None:
    """Type of the elastic twin of a backbone's type; None for one that is elastic already, or has none."""
    return _twin_with_arguments(kind)[0]


def twins() -> dict[type, str]:
    """Plain backbone -> type of its elastic twin."""
    ours = [cls for cls in MODELS.module_dict.values() if isinstance(cls, type) and issubclass(cls, ElasticBackbone)]
    return {host: f'mmamd.{cls.__name__}' for cls in ours for host in cls.__bases__
            if not issubclass(host, ElasticBackbone)}


def _twin_with_arguments(kind: str) -> tuple[str | None, dict[str, Any]]:
    """Type of the twin, and the arguments that a variant is by."""
    with MODELS.switch_scope_and_registry(None) as registry:
        backbone = registry.get(kind)
    if backbone is None or not isinstance(backbone, type) or issubclass(backbone, ElasticBackbone):
        return None, {}
    if backbone.__module__.startswith('mmseg.'):
        for ours in MODELS.of_mmseg:
            MODELS.get(ours)  # registers it
    if backbone not in twins() and backbone.__name__ in VARIANTS:
        return twins().get(backbone.__mro__[1]), VARIANTS[backbone.__name__]
    return twins().get(backbone), {}
