"""A plain network in a config, and the elastic one that takes its place."""

from mmengine.config import Config

from mmamd.backbones.twins import with_elastic_backbone
from mmamd.notices import notice


def take_twin(cfg: Config) -> None:
    """Exchange a plain backbone of ``model.architecture`` for the elastic one of the same weights, in place."""
    model = cfg.get('model') or {}
    plain = model.get('architecture')
    elastic = with_elastic_backbone(plain)
    if elastic is not plain:
        notice(f'model.architecture: {plain.backbone.type} runs as {elastic.backbone.type}, which has the same weights '
               'and function')
        model.architecture = elastic
