"""A run that shows its teacher other images, heads or classes than its checkpoint says is refused before it begins."""

from contextlib import nullcontext

import pytest
import torch
from mmengine.config import Config

import mmamd
from mmamd.pipeline.origin_check import check_classes, check_normalisation, check_size

NORMAL = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)


@pytest.fixture
def said(tiny_config, tmp_path):
    """Function that starts a run whose teacher's checkpoint says something else of itself."""
    def start(cfg=None, classes=None, **overrides):
        config = tiny_config(**overrides)
        model = config.model.architecture.to_dict()
        model['backbone'] = {**model['backbone'], **(cfg or {}).get('backbone', {})}
        own = Config(dict(model=model, data_preprocessor={**config.data_preprocessor, **(cfg or {}).get('images', {})}))
        torch.save({**torch.load(config.model.teacher), 'meta': dict(cfg=own.pretty_text, dataset_meta=dict(
            classes=classes))}, tmp_path / 'teacher.pth')
        config.model.teacher = str(tmp_path / 'teacher.pth')
        mmamd.compress(config, work_dir=tmp_path / 'run')

    return start


ARCH = dict(embed_dims=32, num_layers=2, num_heads=8, feedforward_channels=128)
DIGITS = [str(i) for i in range(10)]


@pytest.mark.parametrize('cfg, classes, message', [
    (dict(backbone=dict(type='VisionTransformer', arch=ARCH)), None,
     'trained with 8 heads a layer, says its own config, and model.architecture.backbone has 4;.*num_heads'),
    (dict(images=dict(mean=[127.5] * 3)), None,
     r'data_preprocessor.mean=\[127.5, 127.5, 127.5\], says its own config, and this run has \[77.8'),
    (dict(images=dict(to_rgb=True)), None,
     'on BGR images, says its own config, and this run shows it RGB; set data_preprocessor.to_rgb=True'),
    (None, ['1', '0', *DIGITS[2:]], "in another order than the training images: 0 is '1' to it and '0' to them")])
def test_it_is_named_and_nothing_is_written(cfg, classes, message, said, tmp_path):
    with pytest.raises(ValueError, match=f'{message}.*check_teacher=False'):
        said(cfg, classes)
    assert not (tmp_path / 'run').exists()


def test_normalisation_is_the_same_within_half_a_grey_value():
    check_normalisation(NORMAL, {**NORMAL, 'mean': [127.4, 127.5, 127.9]}, 'x.pth')
    check_normalisation(dict(mean=[1.], std=[1.]), dict(mean=[1.], std=[1.], to_rgb=False), 'x.pth')
    for other in ({**NORMAL, 'std': [58.] * 3}, {**NORMAL, 'mean': [127.5]}, {}):
        with pytest.raises(ValueError, match='x.pth was trained on images with data_preprocessor'):
            check_normalisation(NORMAL, other, 'x.pth')


@pytest.mark.parametrize('theirs, ours', [((32, 32), (224, 224)), ((224, 224), (32, 32)), ((16, 16), (32, 32))])
def test_images_of_another_size_are_named(theirs, ours):
    with pytest.raises(ValueError, match=f'images of {theirs[0]} x {theirs[1]}, says its own config, and this run has '
                                         f'{ours[0]} x {ours[1]}; resize them'):
        check_size(theirs, ours, 'x.pth')
    check_size((224, 224), (256, 256), 'x.pth')  # as convolutional networks are tested


def test_classes_of_other_names_say_nothing():
    for ours in (None, ('a', 'b'), ('x', 'y')):
        check_classes(('a', 'b'), ours, 'x.pth')
    with pytest.raises(ValueError, match="0 is 'a' to it and 'b' to them"):
        check_classes(('a', 'b'), ('b', 'a'), 'x.pth')


FILES, ARRAYS = [dict(type='LoadImageFromFile')], [dict(type='PackInputs')]


@pytest.mark.parametrize('theirs, ours, pipelines, message', [
    (dict(bgr_to_rgb=True), dict(bgr_to_rgb=False), (FILES, FILES),
     'on RGB .* it BGR; set data_preprocessor.bgr_to_rgb=True'),
    (dict(to_rgb=False), dict(to_rgb=False), (ARRAYS, FILES), 'on RGB .* it BGR; set data_preprocessor.to_rgb=True'),
    (dict(), dict(to_rgb=True), (None, None), 'on BGR .* it RGB; set data_preprocessor.to_rgb=False'),
    (dict(to_rgb=False), dict(to_rgb=True), (ARRAYS, FILES), None),
    (dict(to_rgb=True), dict(bgr_to_rgb=True), (FILES, None), None)])
def test_the_order_of_channels_is_that_which_the_network_sees(theirs, ours, pipelines, message):
    with nullcontext() if message is None else pytest.raises(ValueError, match=message):
        check_normalisation(theirs, ours, 'x.pth', *pipelines)
