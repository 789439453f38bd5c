"""The program beside a graph names classes where there is neither torch nor anything of OpenMMLab."""

import json
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from mmamd.export import PREDICT, export_candidate
from mmamd.export.logits import sliced
from mmamd.structures import Candidate, Cost

NAMES = ['a daisy', "a lion's tooth", 'a rose', 'a sunflower', 'a tulip']
WHOLE = Candidate(scale=1., cost=Cost(11, 13), units=1., kept={
    f'layers.{i}.{kind}': count for i in range(2) for kind, count in (('head', 3), ('neuron', 7))})
WITHOUT = "import sys, runpy; sys.modules.update(dict.fromkeys(['torch', 'mmamd', 'mmpretrain', 'mmengine', 'mmcv']))"


@pytest.mark.parametrize('pixels', [None, 'nchw'])
def test_it_names_the_class_that_the_network_names(make_run, tmp_path, pixels):
    config, network = make_run(layers=2, heads=3, neurons=7)
    config.class_names = NAMES
    config.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=10, interpolation='nearest'),
        dict(type='CenterCrop', crop_size=8), dict(type='my.Sharpen'), dict(type='PackInputs')]
    export_candidate(config, network, WHOLE, ['onnx'], tmp_path, pixels=pixels)
    rgb_HWC = np.random.default_rng(1).integers(0, 256, (10, 14, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # as a camera that was held upright: to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(rgb_HWC).copy()).save(tmp_path / 'a picture.png', exif=turned)
    done = subprocess.run(
        [sys.executable, '-c', f"{WITHOUT}; runpy.run_path('predict.py')", 'model.onnx', 'a picture.png'],
        cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Already of ten rows; the centre is rows 1 to 9 and columns 3 to 11. The network takes RGB.
    images = ((rgb_HWC[1:9, 3:11] - np.float32([10, 20, 30])) / np.float32([50, 60, 70])).transpose(2, 0, 1)
    with torch.no_grad():
        shares = sliced(network, WHOLE)(torch.from_numpy(images.copy())[None])[0].softmax(0)
    best = int(shares.argmax())
    assert done.stdout == f'a picture.png: {NAMES[best]} {shares[best]:.1%}\n'
    assert done.stderr == 'left out of the test pipeline: Sharpen\n'


@pytest.mark.parametrize('made', ['16 bits', 'maps'])
def test_deep_pictures_and_the_maps_of_a_segmentor(made, make_run, tmp_path):
    shutil.copy(PREDICT, tmp_path)
    how = dict(channels='L', mean=[0.], std=[1.], steps=[['size', [2, 2], 'nearest']], others=[])
    # The graph puts out the grey value and 100, of the mean or of every position.
    nodes = [onnx.helper.make_node('Constant', [], ['hundred'], value=onnx.numpy_helper.from_array(
        np.full((1, 1, 2, 2) if made == 'maps' else (1, 1), 100, np.float32)))]
    if made != 'maps':
        nodes.append(onnx.helper.make_node('ReduceMean', ['x'], ['means'], axes=[2, 3], keepdims=0))
    nodes.append(onnx.helper.make_node('Concat', ['x' if made == 'maps' else 'means', 'hundred'], ['y'], axis=1))
    graph = onnx.helper.make_graph(
        nodes, 'g', [onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, 1, 2, 2])],
        [onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)], ir_version=9)
    for key, value in dict(preprocessing=json.dumps(how), classes=json.dumps(['bright', 'dark'])).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, tmp_path / 'model.onnx')
    grey = np.array([[200, 0], [200, 200]]) if made == 'maps' else np.full((2, 2), 60)
    Image.fromarray((grey * 256).astype(np.uint16) if made == '16 bits' else grey.astype(np.uint8)).save(
        tmp_path / 'grey.png')
    done = subprocess.run([sys.executable, 'predict.py', 'model.onnx', 'grey.png'], cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'grey.png: ' + ('bright 75.0%\n' if made == 'maps' else 'dark 100.0%\n')


def test_it_has_twenty_five_lines_beside_its_imports():
    lines = [line for line in PREDICT.read_text().splitlines()[1:] if line]
    assert len([line for line in lines if not line.startswith(('import ', 'from '))]) <= 25
