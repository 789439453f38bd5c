"""Integers in place of floats: nearly the same function, and whatever they lose is in the file itself."""

import json

import onnxruntime
import pytest
import torch

from mmamd.export import FORMS, Samples, export_candidate, format_exported
from mmamd.export.logits import sliced
from mmamd.structures import Candidate, Cost

LARGE = dict(layers=2, heads=4, head_dims=8, neurons=64)
PRUNED = Candidate(scale=0.5, cost=Cost(11, 13), units=0.5, kept={
    'layers.0.head': 2, 'layers.0.neuron': 40, 'layers.1.head': 0, 'layers.1.neuron': 32})


def images(num, seed):
    return torch.randn(num, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope='module')
def run(make_run):
    """(config, network, samples): 64 training images, and 200 of test, of which the float network is right."""
    config, network = make_run(**LARGE)
    for parameter in network.parameters():
        parameter.data *= 0.2
    with torch.no_grad():
        labels = sliced(network, PRUNED)(images(200, 2)).argmax(1)
    return config, network, Samples(lambda: images(64, 1).split(16),
                                    lambda: zip(images(200, 2).split(50), labels.split(50), strict=True))


def test_integers_are_nearly_the_function_and_say_what_they_lose(run, tmp_path):
    config, network, samples = run
    config.test_dataloader.dataset.pipeline = [dict(type='PackInputs')]
    written = export_candidate(config, network, PRUNED, ['int8', 'int8-dynamic'], tmp_path, samples=samples,
                               pixels='nhwc')
    for exported in written:
        comparison = exported.comparison
        assert 0 < exported.difference == comparison.difference < 0.3
        assert comparison.reference > 0.9 and comparison.value > 0.7  # pixels are coarser than the images drawn here
        path = tmp_path / FORMS[exported.form].files[0]
        said = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        assert json.loads(said['comparison'])['value'] == comparison.value
        assert said['precision'].startswith('int8') and said['scale'] == '0.50'
        assert f'{exported.form}: {comparison}' in format_exported(written)
    assert (tmp_path / 'predict.py').is_file()


def test_integers_are_refused_where_no_image_can_judge_them(run, tmp_path):
    with pytest.raises(ValueError, match='calibrated and judged on images, and there are none; export from'):
        export_candidate(*run[:2], PRUNED, ['int8'], tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_training_images_the_form_that_needs_none_is_named(run, tmp_path):
    def missing():
        raise FileNotFoundError('no data/train')
        yield

    said = []
    samples = Samples(missing, run[2].test)
    refused, written = export_candidate(*run[:2], PRUNED, ['int8', 'int8-dynamic'], tmp_path, samples=samples,
                                        say=said.append)
    assert refused.refused == ("the form 'int8' is calibrated on training images: no data/train. The form "
                               "'int8-dynamic' needs none")
    assert said == [f'int8 is not written: {refused.refused}'] and not refused.files
    assert written.comparison and 'int8: not written' in format_exported([refused, written])
