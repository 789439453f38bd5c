"""A teacher sees the images that its own preprocessor would have made, whatever the student's does."""

import pytest
import torch
from mmpretrain.registry import MODELS

from mmamd.distillation.renormalisation import Renormalisation, renormalisation

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def preprocessor(**options):
    return MODELS.build(dict(type='mmpretrain.ClsDataPreprocessor', **options))


@pytest.mark.parametrize('own, others', [
    (dict(IMAGENET, to_rgb=True), dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)),
    (dict(IMAGENET, to_rgb=True), dict(mean=[1., 2., 3.], std=[4., 5., 6.], to_rgb=False)),
    (dict(to_rgb=False), dict(IMAGENET, to_rgb=True)),
    (dict(IMAGENET, to_rgb=True), dict())])
def test_images_become_those_of_the_other_preprocessor(own, others):
    images = torch.randint(0, 256, (2, 3, 4, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    own, others = preprocessor(**own), preprocessor(**others)
    found = renormalisation(own, others)(own(dict(inputs=images))['inputs'])
    torch.testing.assert_close(found, others(dict(inputs=images))['inputs'].float(), rtol=1e-5, atol=1e-4)


def test_grey_images_have_no_order_of_channels():
    images = torch.rand(2, 1, 4, 4) * 255
    own, others = preprocessor(mean=[100.], std=[50.], to_rgb=True), preprocessor(mean=[0.], std=[255.])
    torch.testing.assert_close(renormalisation(own, others)(own(dict(inputs=images))['inputs']), images / 255)


def test_preprocessors_that_agree_leave_images_bit_for_bit_as_they_are():
    images = torch.rand(2, 3, 4, 4)
    assert renormalisation(preprocessor(**IMAGENET), preprocessor(**IMAGENET))(images) is images


def test_different_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match='of the student normalises 3 channels, that of the teacher 4; give both'):
        Renormalisation(preprocessor(**IMAGENET), preprocessor(mean=[0.] * 4, std=[1.] * 4))
