"""A delivered backbone is a part of another network, in its shape and with its weights."""

import pytest
import torch

import mmamd
from mmamd.registry import MODELS


def compressed(run, **arguments):
    return MODELS.build(dict(type='mmamd.CompressedBackbone', run=str(run), **arguments))


def test_a_training_starts_from_the_weights_of_the_run_and_its_shape_needs_no_weights(finished_run):
    student = mmamd.load_student(finished_run[0]).backbone
    backbone = compressed(finished_run[0], out_type='featmap', out_indices=[0, 1], img_size=8)
    assert {key: value.shape for key, value in backbone.state_dict().items()} == {
        key: value.shape for key, value in student.state_dict().items()
        if not key.startswith('ln2.')}  # of the mean over tokens, which a map has not
    backbone.init_weights()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    backbone.eval()
    student.out_type = 'featmap'
    with torch.no_grad():
        first, last = backbone(images)
        assert torch.equal(last, student(images)[0])
    assert first.shape == last.shape == (2, 32, 2, 2)


def test_positions_fit_images_of_another_size(finished_run):
    backbone = compressed(finished_run[0], img_size=(12, 16))
    backbone.init_weights()
    assert backbone.pos_embed.shape == (1, 1 + 3 * 4, 32)


def test_a_run_that_has_delivered_nothing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"the stage 'export' of {tmp_path} has made no networks"):
        compressed(tmp_path)
