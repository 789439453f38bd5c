"""The proposed config is short, whatever the network, and its schedule follows from data and batch."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmamd.cli.data import Data, Part
from mmamd.cli.network import IMAGENET, Described
from mmamd.cli.recipe import config_text, every, num_trained, schedule_of
from mmamd.datasets.holdout import split_in_blocks

SWIN = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedSwin', arch=dict(embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24]),
                  img_size=224, drop_path_rate=0.2, stage_cfgs=dict(block_cfgs=dict(window_size=7, ffn_cfgs=dict(
                      act_cfg=dict(type='GELU'))))),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=768,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
READ = dict(type='LoadImageFromFile', backend_args=dict(backend='local'), imdecode_backend='pillow')
LONG = [READ, *(dict(type='RandAugment', policies='timm_increasing', num_policies=2, total_level=10, magnitude_level=i,
                     magnitude_std=0.5, hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic'))
                for i in range(5)), dict(type='PackInputs')]
TEST = [READ, dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
        dict(type='CenterCrop', crop_size=224), dict(type='PackInputs')]


def data(*splits):
    parts = {split: Part(split, 1000, ann_file=f'/lists/{split}.txt') for split in splits}
    return Data(Path('/data/a folder of images'), tuple(map(str, range(1000))), parts, 100, is_listed=True)


@pytest.mark.parametrize('splits', [('train',), ('train', 'test'), ('train', 'val', 'test')])
@pytest.mark.parametrize('train, is_kept', [(LONG[:2] + LONG[-1:], True), (LONG, False)])
def test_a_network_of_many_settings_fits_and_its_augmentation_where_there_is_place(splits, train, is_kept, tmp_path):
    teacher = Described(SWIN, IMAGENET, (224, 224), ('head', 'neuron'), None, train, TEST)
    text = config_text('A Swin.', '/a/path/to/teacher.pth', teacher, data(*splits), dict(student_scale=0.1),
                       schedule_of(1_000_000, 28_000_000))
    assert len(text.splitlines()) <= 30
    (tmp_path / 'config.py').write_text(text)
    cfg = Config.fromfile(tmp_path / 'config.py')
    assert cfg.model.architecture == SWIN and cfg.data_preprocessor.num_classes == 1000
    assert (cfg.train_pipeline == train) == is_kept and cfg.test_pipeline == TEST
    assert cfg.test_dataloader.dataset.type == ('CustomDataset' if 'test' in splits else 'mmamd.HoldOut')


def test_what_does_not_fit_is_refused_with_the_whole_text():
    arch = {f'setting_{i}': f'a value of {i} that is long enough to be alone on its line' * 2 for i in range(30)}
    teacher = Described({**SWIN, 'backbone': dict(type='mmamd.MaskedSwin', **arch)}, IMAGENET, (224, 224), ('neuron',))
    with pytest.raises(ValueError, match='so many settings that its config takes .* lines; write a config by '
                                         'hand(.|\n)*setting_11'):
        config_text('A Swin.', 'x.pth', teacher, data('train'), dict(student_scale=0.1), schedule_of(1000, 1000))


@pytest.mark.parametrize('images, params, epochs, batch, lr, steps', [
    (1000, 10**6, 100, 64, 5e-4, 15), (10_000, 10**6, 20, 64, 5e-4, 156), (10**6, 86 * 10**6, 10, 64, 1.9e-4, 15625),
    (40, 10**6, 100, 10, 7.8e-5, 4)])
def test_epochs_and_rate_follow_from_the_data_and_the_network(images, params, epochs, batch, lr, steps):
    found = schedule_of(images, params)
    assert (found.epochs, found.batch_size, found.lr, found.steps) == (epochs, batch, lr, steps)
    assert found.warm_up < found.epochs * found.steps


def test_what_the_user_says_is_taken():
    found = schedule_of(10_000, 10**6, epochs=3, batch_size=128)
    assert (found.epochs, found.batch_size, found.lr) == (3, 128, 1e-3)


def test_a_view_for_every_two_and_a_half_epochs_of_the_budget_is_stored_and_one_of_images_that_never_change():
    ten, changed = schedule_of(10_000, 10**6, epochs=10), [*TEST, dict(type='RandomFlip')]
    assert [ten.views(budget, changed) for budget in (None, 1.0, 2.0, 0.1)] == [4, 4, 8, 1]
    assert ten.views(1.0, TEST) == 1
    # The study of budgets: 5 and 11 epochs, the budgets 1 and 2.1, had 2 and 4 views.
    assert [schedule_of(10_000, 10**6, epochs=5).views(budget, changed) for budget in (1.0, 2.1)] == [2, 4]


@pytest.mark.parametrize('smallest, held', [(1, 2), (3, 2), (5, 4), (6, 5), (99, 5), (100, 10)])
def test_a_tenth_is_held_out_or_a_fifth_of_small_classes(smallest, held):
    assert every(smallest) == held


@pytest.mark.parametrize('smallest', [3, 4, 5, 6, 7, 30, 101])
def test_of_every_class_some_are_held_out_twice_and_some_left(smallest):
    left = smallest
    for _ in ('test', 'val'):
        kept, held = split_in_blocks(left, every(smallest), 1)
        assert len(held) and len(kept)
        left = len(kept)


def test_images_that_are_held_out_are_not_trained_on():
    assert num_trained(data('train')) == 810 and num_trained(data('train', 'test')) == 900
    assert num_trained(data('train', 'val', 'test')) == 1000
