"""How a picture becomes an input, said in plain values, and done by the graph itself."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.config import Config

from mmamd.export import LAYOUTS, export_candidate
from mmamd.export.logits import TOLERANCE, sliced
from mmamd.export.preprocessing import FromPixels, preprocessing_of
from mmamd.structures import Candidate, Cost

PRUNED = Candidate(scale=0.5, cost=Cost(11, 13), units=0.5, kept={
    'layers.0.head': 2, 'layers.0.neuron': 4, 'layers.1.head': 1, 'layers.1.neuron': 5})


def config_of(*pipeline, **preprocessor):
    dataset = dict(type='CustomDataset', pipeline=[dict(type=name, **options) for name, options in pipeline])
    return Config(dict(model=dict(type='ImageClassifier'), data_preprocessor=preprocessor,
                       test_dataloader=dict(dataset=dict(type='Wrapper', dataset=dataset))))


READ, PACK = ('LoadImageFromFile', {}), ('mmpretrain.PackInputs', {})


@pytest.mark.parametrize('pipeline, steps, others', [
    ([READ, ('ResizeEdge', dict(scale=256, edge='short', interpolation='bicubic', backend='pillow')),
      ('CenterCrop', dict(crop_size=224)), PACK],
     [['short edge', 256, 'bicubic'], ['crop', [224, 224]]], []),
    ([('Resize', dict(scale=(224, 224), interpolation='area')), PACK], [['size', [224, 224], 'box']], []),
    ([READ, PACK], [['size', [224, 224], 'bilinear']], []),
    ([READ, ('Resize', dict(scale=256)), PACK],
     [['size', [256, 256], 'bilinear'], ['size', [224, 224], 'bilinear']], []),
    ([READ, ('ResizeEdge', dict(scale=224, edge='long')), ('my.Sharpen', {}), PACK],
     [['size', [224, 224], 'bilinear']], ['ResizeEdge', 'Sharpen'])],
    ids=['edge and crop', 'size', 'as it is', 'of another size', 'what nobody knows'])
def test_the_steps_are_those_of_the_test_pipeline_and_end_in_the_inputs_size(pipeline, steps, others):
    how = preprocessing_of(config_of(*pipeline), (3, 224, 224))
    assert (how['steps'], how['others']) == (steps, others)
    assert (how['mean'], how['std']) == ([0.] * 3, [1.] * 3), 'without a preprocessor nothing is normalised'


@pytest.mark.parametrize('reads, to_rgb, channels, expected', [
    (True, True, 3, 'RGB'), (True, False, 3, 'BGR'), (False, False, 3, 'RGB'), (False, True, 3, 'BGR'),
    (True, False, 1, 'L')])
def test_files_are_read_as_bgr_and_arrays_are_rgb(reads, to_rgb, channels, expected):
    pipeline = [READ, PACK] if reads else [PACK]
    found = preprocessing_of(config_of(*pipeline, mean=[1.] * channels, std=[2.] * channels, to_rgb=to_rgb),
                             (channels, 8, 8))
    assert found['channels'] == expected


@pytest.mark.parametrize('layout', LAYOUTS)
def test_a_graph_with_preprocessing_is_the_network_on_normalised_pixels(make_run, tmp_path, layout):
    config, network = make_run(layers=2, heads=3, neurons=7)
    config.test_dataloader.dataset.pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    config.data_preprocessor.to_rgb = False  # the network takes BGR
    export_candidate(config, network, PRUNED, ['onnx'], tmp_path, pixels=layout)
    session = onnxruntime.InferenceSession(tmp_path / 'model.onnx')
    entry, = session.get_inputs()
    assert entry.type == 'tensor(uint8)' and entry.shape[1:] == ([8, 8, 3] if layout == 'nhwc' else [3, 8, 8])
    rgb_NHWC = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    pixels = rgb_NHWC if layout == 'nhwc' else rgb_NHWC.transpose(0, 3, 1, 2)
    logits, = session.run(None, {'images': np.ascontiguousarray(pixels)})
    normalised_NHWC = (rgb_NHWC[..., ::-1] - np.float32([10, 20, 30])) / np.float32([50, 60, 70])
    with torch.no_grad():
        expected = sliced(network, PRUNED)(torch.from_numpy(normalised_NHWC.transpose(0, 3, 1, 2).copy()))
    assert (torch.from_numpy(logits) - expected).abs().max() <= TOLERANCE * expected.abs().max()
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata['layout'] == layout and json.loads(metadata['preprocessing'])['channels'] == 'BGR'


def test_pixels_and_normalised_images_are_two_ways_to_say_the_same():
    module = FromPixels(None, dict(channels='BGR', mean=[129.3, 124.1, 112.4], std=[68.2, 65.4, 70.4]), 'nhwc')
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    assert torch.equal(module.pixels_of(module.images_of(pixels)), pixels)


def test_preprocessing_is_refused_where_no_form_is_a_graph(make_run, tmp_path):
    with pytest.raises(ValueError, match=r"into a graph of ONNX, and none of \['pth'\] is one; expected some of"):
        export_candidate(*make_run(layers=2), PRUNED, ['pth'], tmp_path, pixels='nhwc')
