"""The elastic ResNetV1c of MMSegmentation; what all elastic backbones promise is in test_elastic_contract.py."""

import pytest
import torch
from mmpretrain.registry import MODELS

pytestmark = pytest.mark.seg
TOY = dict(type='mmamd.MaskedResNetV1c', depth=18, stem_channels=8, base_channels=4, strides=(1, 2, 1, 1),
           dilations=(1, 1, 2, 4), contract_dilation=True, norm_cfg=dict(type='SyncBN', requires_grad=True))


@pytest.mark.parametrize('out_indices, pruned', [((0, 1, 2, 3), set()), ((2, 3), {'stem.filter', 'layer2.filter'})])
def test_the_channels_of_a_stage_that_no_head_reads_are_pruned(out_indices, pruned):
    # The first stage has no projection where its width is the stem's, and goes on with the stem's channels.
    resnet = MODELS.build({**TOY, 'stem_channels': 4, 'out_indices': out_indices})
    shared = {'stem.filter', *(f'layer{i}.filter' for i in (1, 2, 3, 4))}
    assert {group.name for group in resnet.unit_groups()} & shared == pruned
    resnet.activate({group.name: group.min_count for group in resnet.unit_groups()})
    maps = resnet(torch.randn(2, 3, 40, 32))
    widths = dict(enumerate((4, 8, 16, 32)))
    # The output stride is that of a dilated network.
    assert [tuple(m.shape) for m in maps] == [(2, widths[i], *((10, 8) if i == 0 else (5, 4))) for i in out_indices]


@pytest.mark.parametrize('wrong, message', [
    (dict(with_cp=True), 'MaskedResNetV1c does not support with_cp=True'),
    (dict(depth=50, plugins=[dict(cfg=dict(type='ContextBlock', ratio=1 / 4), position='after_conv3')]),
     'MaskedResNetV1c does not support plugins'),
    (dict(norm_cfg=dict(type='GN', num_groups=2)),
     "stem.1 is GroupNorm.*set norm_cfg=dict\\(type='BN'\\), or 'SyncBN'"),
])
def test_what_cannot_be_pruned_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build({**TOY, **wrong})
