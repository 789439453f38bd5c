"""A segmentor leaves for MMSegmentation: as a network of its own where it has such a one, else over mmamd's."""

import json
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmamd.export import FORMS, export_candidate, format_exported
from mmamd.registry import MODELS
from mmamd.structures import Candidate, Cost

NORM = dict(type='BN')
ARCHITECTURE = dict(
    type='EncoderDecoder', train_cfg=dict(), test_cfg=dict(mode='whole'),
    backbone=dict(type='mmamd.MaskedViT', img_size=(16, 24), patch_size=4, out_indices=[0, 1], out_type='featmap',
                  final_norm=False, arch=dict(embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=10)),
    decode_head=dict(type='UPerHead', in_channels=[12, 12], in_index=[0, 1], pool_scales=(1, 2), channels=8,
                     num_classes=2, norm_cfg=NORM, align_corners=False))
SCENES = dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car'), palette=[[1, 2, 3], [4, 5, 6]]))
RUN = dict(default_scope='mmseg', class_names=['road', 'car'], model=dict(architecture=ARCHITECTURE),
           data_preprocessor=dict(type='SegDataPreProcessor', mean=[127.5] * 3, std=[60.] * 3, bgr_to_rgb=True),
           test_dataloader=dict(dataset=SCENES), test_pipeline=[])
PLAIN = Candidate(0.5, {f'layers.{i}.{kind}': count for i, kept in enumerate([(3, 4), (3, 0)])
                        for kind, count in zip(('head', 'neuron'), kept, strict=True)}, Cost(1, 1), 0.5)
PRUNED = Candidate(0.5, {**PLAIN.kept, 'layers.1.head': 1}, Cost(1, 1), 0.5)
# What whoever has the files does, in a process that has not imported mmamd.
LOAD = """
import json, sys, torch
if sys.argv[2] == 'plain':
    sys.modules['mmamd'] = None  # as if it were not installed
from mmseg.apis import init_model
model = init_model(f'{sys.argv[1]}/mmseg_config.py', f'{sys.argv[1]}/mmseg_model.pth', device='cpu')
images = torch.load(f'{sys.argv[1]}/images.pth')
with torch.no_grad():
    torch.save(model(images), f'{sys.argv[1]}/logits.pth')
print(json.dumps([model.dataset_meta, type(model.backbone).__module__.split('.')[0]]))
"""


@pytest.mark.seg
@pytest.mark.parametrize('candidate, package', [(PLAIN, 'mmpretrain'), (PRUNED, 'mmamd')], ids=['plain', 'over mmamd'])
def test_mmseg_loads_the_files_and_the_table_says_what_it_needs_for_it(candidate, package, tmp_path):
    with DefaultScope.overwrite_default_scope('mmseg'):
        network = MODELS.build(Config(RUN).model.architecture).eval()
    written = export_candidate(Config(RUN), network, candidate, ['mmseg'], tmp_path)
    assert f'mmsegmentation, {package}' in format_exported(written)
    images = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    torch.save(images, tmp_path / 'images.pth')
    done = subprocess.run([sys.executable, '-c', LOAD, str(tmp_path), 'plain' if package != 'mmamd' else 'ours'],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        {'classes': ['road', 'car'], 'palette': [[1, 2, 3], [4, 5, 6]]}, package]
    network.backbone.activate(candidate.kept)
    with torch.no_grad():
        expected = network(images)
    assert (torch.load(tmp_path / 'logits.pth') - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_network_of_a_classifier_is_refused_with_how_its_backbone_becomes_a_segmentors(tmp_path):
    config = Config(dict(default_scope='mmpretrain', model=dict(architecture={})))
    with pytest.raises(ValueError, match=r"the form 'mmseg' is of segmentors.*mmamd.CompressedBackbone"):
        FORMS['mmseg'].prepare(type('Subject', (), {'cfg': config}))
