"""What a checkpoint says of the network it is of."""

import pytest
from mmengine.config import Config

from mmamd.weights.origin import Origin, origin_of, origin_of_config, pipeline_size

MODEL = dict(type='ImageClassifier', backbone=dict(type='VisionTransformer', img_size=8),
             head=dict(type='LinearClsHead', num_classes=3))
TEST = [dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=256), dict(type='CenterCrop', crop_size=224)]


def test_a_training_of_the_host_is_read_from_its_meta():
    loader = dict(dataset=dict(type='HoldOut', dataset=dict(type='CustomDataset', pipeline=TEST)))
    cfg = Config(dict(model=MODEL, data_preprocessor=dict(mean=[1.], std=[2.]), test_dataloader=loader))
    found = origin_of(dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a', 'b', 'c'))))
    assert found == Origin(MODEL, dict(mean=[1.], std=[2.]), ('a', 'b', 'c'), None, TEST)
    assert found.image_size == (8, 8)


def test_a_run_of_ours_speaks_of_its_architecture():
    own = {**MODEL, 'data_preprocessor': dict(mean=[3.])}
    found = origin_of_config(dict(model=dict(type='mmamd.AMDDistiller', architecture=own)))
    assert found.architecture == own and found.preprocessor == dict(mean=[3.])


def test_the_size_that_images_are_padded_to_goes_before_that_of_a_pipeline():
    bound = [dict(type='Resize', scale=(2048, 512))]
    assert Origin(dict(backbone={}), dict(size=(512, 512)), None, None, bound).image_size == (512, 512)
    assert Origin(dict(backbone={}), None, None, None, bound).image_size == (512, 2048)


@pytest.mark.parametrize('meta', [
    {}, dict(cfg='a = ('), dict(cfg=3), dict(cfg='model = 3'), dict(cfg='model = dict(type="MoCo")'),
    dict(dataset_meta={}), dict(dataset_meta=dict(classes=3))])
def test_what_says_nothing_is_nothing(meta):
    assert origin_of(meta) == Origin() and Origin().image_size is None


@pytest.mark.parametrize('pipeline, size', [
    (TEST, (224, 224)), ([dict(type='Resize', scale=(20, 10))], (10, 20)), ([dict(type='PackInputs')], None),
    (None, None),
    ([dict(type='mmpretrain.CenterCrop', crop_size=(10, 20)), dict(type='PackInputs')], (10, 20)),
    ([dict(type='Resize', scale=-1.)], None),
    ([dict(type='RandomResizedCrop', scale=(10, 20))], (10, 20)),
    ([dict(type='Resize', scale=(2048, 512), keep_ratio=True), dict(type='PackSegInputs')], None),
    ([dict(type='Resize', scale=8), dict(type='RandomResize', scale=(20, 10))], None)])
def test_the_size_of_images_is_that_of_the_last_transform_that_says_so(pipeline, size):
    assert pipeline_size(pipeline) == size
