"""A batch of one image is refused where a batch norm would see one value of each channel."""

from types import SimpleNamespace

import pytest
import torch.nn as nn

import mmamd
from mmamd.pipeline.stages.single_images import check_single_images, smallest_batch


def stage(num=9, processes=1, **loader):
    settings = {'batch_size': 4, 'sampler': dict(type='DefaultSampler'), **loader}
    return SimpleNamespace(name='joint', images=SimpleNamespace(num=num), processes=processes,
                           loader=SimpleNamespace(settings=settings))


@pytest.mark.parametrize('found, expected', [
    (stage(), 1), (stage(num=8), 4), (stage(drop_last=True), 4), (stage(processes=2), 1),
    (stage(num=12, processes=2), 2),
    (stage(sampler=dict(type='mmamd.StreamSampler', num_samples=8)), 4)])
def test_the_smallest_batch_is_what_is_left_over(found, expected):
    assert smallest_batch(found) == expected


class Pooled(nn.Module):
    """A batch norm over a map, and one behind a pooling if asked for."""

    def __init__(self, size):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(size), nn.BatchNorm2d(2))

    def forward(self, images, samples, mode):
        return self.head(self.body(images))


def test_only_a_norm_behind_a_pooling_to_one_value_minds_a_single_image():
    task = SimpleNamespace(example=lambda network: None)
    with pytest.raises(ValueError, match="stage 'joint': a batch of one image gives the batch norm head.1 one value.*"
                                         'to 2 or more, got 4, and drop_last=True'):
        check_single_images(stage(), Pooled(1), (3, 4, 4), task)
    check_single_images(stage(), Pooled(2), (3, 4, 4), task)
    check_single_images(stage(num=8), Pooled(1), (3, 4, 4), task)


@pytest.mark.parametrize('losses, message', [
    ({'review': dict(type='mmamd.ReviewKDLoss', layers=[('backbone', 'backbone')])}, 'Expected more than 1 value'),
    ({'found': dict(type='mmamd.GenomeLoss', genome='in:[logits] trans:[no|no|no] dist:[Correlation] cal:[no] '
                    'weight:[1] tau:[4]')}, 'Correlation compare the images of a batch, got a batch of one')])
def test_a_term_that_needs_several_images_minds_a_single_one_too(tiny_config, tmp_path, losses, message):
    config = tiny_config(**{f'student.losses.{name}': term for name, term in losses.items()},
                         **{'method.type': 'mmamd.KD', 'train_dataloader.batch_size': 1})
    with pytest.raises(ValueError, match=f"stage 'student': a term of the loss cannot be trained on a batch of one.*"
                                         f'{message}.* set train_dataloader.batch_size to 2 or more, got 1'):
        mmamd.compress(config, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
