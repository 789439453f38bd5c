"""What segmentation is to the stages: label maps, ignored pixels, one mean over classes."""

import copy

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from PIL import Image

from mmamd.distillation.losses import LogitLoss
from mmamd.distillation.losses.logit import logit_loss
from mmamd.distillation.outputs import Outputs
from mmamd.pipeline.images import splits
from mmamd.pipeline.images.splits import build_dataset
from mmamd.registry import MODELS
from mmamd.tasks import Segmentation, task_of

pytestmark = pytest.mark.seg
TASK = Segmentation()
HEAD = dict(type='FCNHead', in_channels=8, in_index=-1, channels=4, num_convs=1, concat_input=False, num_classes=3,
            dropout_ratio=0.5)
SEGMENTOR = dict(
    type='EncoderDecoder', decode_head=HEAD, test_cfg=dict(mode='whole'),
    backbone=dict(type='mmamd.MaskedResNet', depth=18, num_stages=1, out_indices=(0,), strides=(1,), dilations=(1,),
                  stem_channels=8, base_channels=8, img_size=(16, 24)),
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[127.5] * 3, std=[60.] * 3, size_divisor=8))


def build(**changed):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(copy.deepcopy({**SEGMENTOR, **changed})).eval()


def labelled(*maps):
    from mmseg.structures import SegDataSample
    return [SegDataSample(gt_sem_seg=PixelData(data=torch.as_tensor(each)[None])) for each in maps]


@pytest.fixture
def frame(tmp_path):
    """Function that writes an image and its labels; returns what a data set says of them."""
    def write(labels, size=None, name='a', **info):
        labels = np.tile(np.asarray(labels, np.uint8), (2, 1))  # the host takes one row for no map
        Image.fromarray(labels).save(tmp_path / f'{name}.png')
        Image.new('RGB', size or labels.shape[::-1]).save(tmp_path / f'{name}.jpg')
        return {'img_path': str(tmp_path / f'{name}.jpg'), 'seg_map_path': str(tmp_path / f'{name}.png'),
                'reduce_zero_label': False, 'label_map': None, **info}

    return write


# --- the network ---

def test_a_segmentor_has_the_task_and_its_logits_are_the_heads_own():
    network = build()
    assert isinstance(task_of(network), Segmentation) and TASK.num_classes(network) == 3
    assert TASK.logits_from(network) == 'decode_head.conv_seg'
    loss = network(torch.zeros(1, 3, 16, 24), [TASK.example(network)], mode='loss')
    assert loss['decode.loss_ce'].isfinite()


def test_logits_of_a_cascade_are_those_of_its_last_head():
    second = dict(type='OCRHead', in_channels=8, in_index=-1, channels=4, ocr_channels=4, num_classes=3)
    network = build(type='CascadeEncoderDecoder', num_stages=2, decode_head=[HEAD, second])
    assert TASK.logits_from(network) == 'decode_head.1.conv_seg' and TASK.num_classes(network) == 3
    images = torch.rand(2, 3, 16, 24)
    features = network.extract_feat(images)
    torch.testing.assert_close(TASK.rest(network, features), network(images, mode='tensor'))


@pytest.mark.parametrize('changed, message', [
    (dict(decode_head=dict(HEAD, ignore_index=0)), 'has ignore_index=0, expected 255'),
    (dict(test_cfg=dict(mode='slide', crop_size=(8, 8), stride=(8, 12))),
     r'crop_size=\(8, 8\) is smaller than its stride=\(8, 12\)')])
def test_what_its_settings_break_is_refused(changed, message):
    from mmengine.config import ConfigDict
    with pytest.raises(ValueError, match=message):
        TASK.check_network(build(**{key: ConfigDict(value) for key, value in changed.items()}))


def test_a_head_without_logits_is_refused():
    network = build()
    del network.decode_head.conv_seg
    with pytest.raises(ValueError, match='a FCNHead gives no logits by cls_seg and conv_seg'):
        TASK.check_network(network)


# --- batches ---

def test_images_of_two_sizes_are_no_batch_to_predict_but_one_to_train_on():
    network = build()
    batch = dict(inputs=[torch.zeros(3, 16, 24), torch.zeros(3, 16, 16)],
                 data_samples=labelled(torch.zeros(16, 24).long(), torch.zeros(16, 16).long()))
    with pytest.raises(ValueError, match=r'images of \(16, 16\) and \(16, 24\) pixels.*importance.batch_size=1'):
        TASK.preprocess(network, batch, training=False)
    data = TASK.preprocess(network, batch, training=True)
    assert data['inputs'].shape == (2, 3, 16, 24)
    assert TASK.hard_targets(data['data_samples'])[1, :, 16:].eq(255).all()  # what was padded is ignored


# --- labels ---

def test_the_targets_are_maps_and_ignored_pixels_have_no_label():
    samples = labelled([[0, 1], [255, 2]])
    assert TASK.hard_targets(samples).tolist() == [[[0, 1], [255, 2]]]
    assert TASK.labelled(samples, (2, 2)).tolist() == [[[True, True], [False, True]]]
    assert TASK.labelled(samples, (1, 2)).tolist() == [[[False, True]]]  # the lower row is at the middle


def test_labels_of_two_sizes_or_none_are_refused():
    from mmseg.structures import SegDataSample
    with pytest.raises(ValueError, match=r'one size in a batch, got \(1, 2\), none'):
        TASK.hard_targets([*labelled([[0, 1]]), SegDataSample()])


def test_a_label_beyond_the_classes_is_told_with_its_file(frame):
    assert TASK.check(frame([[0, 2, 255]]), 3) is None
    assert TASK.classes_in(frame([[0, 2, 255]])) == {0, 2}
    wrong = TASK.check(frame([[0, 3, 7]], name='b'), 3)
    assert 'has label 3 in ' in wrong and 'b.png, but the head has 3 classes (0 to 2)' in wrong
    assert TASK.check(frame([[0, 3]], name='c', label_map={3: 255}), 3) is None


def test_image_and_label_of_two_sizes_and_files_that_are_none_are_told(frame, tmp_path):
    assert 'of 3 x 1 pixels and its label map' in TASK.check(frame([[0, 0]], size=(3, 1)), 3)
    damaged = frame([[0, 0]], name='d')
    (tmp_path / 'd.jpg').write_bytes(b'no image')
    assert f"has an image {damaged['img_path']} that cannot be read" in TASK.check(damaged, 3)
    assert 'label map missing.png that cannot be read' in TASK.check({**damaged, 'seg_map_path': 'missing.png'}, 3)


def test_a_palette_that_does_not_fit_the_classes_is_told_with_what_is_expected(frame, tmp_path):
    frame([[0, 1]])
    config = dict(type='mmseg.BaseSegDataset', data_root=str(tmp_path), pipeline=[], data_prefix=dict(img_path='.'),
                  metainfo=dict(classes=('road', 'car'), palette=[[1, 2, 3]]))
    with pytest.raises(ValueError, match='the train data set mmseg.BaseSegDataset .*palette does not match classes.*'
                                         'for each of metainfo.classes a colour in metainfo.palette'):
        build_dataset(config, 'train', build(), TASK)


def test_an_absent_class_0_is_asked_about_reduce_zero_label(frame, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(splits, 'notice', lambda text, _level: said.append(text))
    frame([[0, 1]])
    config = dict(type='mmseg.BaseSegDataset', data_root=str(tmp_path), pipeline=[], seg_map_suffix='.png',
                  data_prefix=dict(img_path='.', seg_map_path='.'),
                  metainfo=dict(classes=('road', 'car', 'sky'), palette=[[1, 2, 3]] * 3))
    build_dataset(config, 'train', build(), TASK)
    frame([[1, 2]])
    build_dataset(config, 'train', build(), TASK)
    others, first = said
    assert others.endswith('learnt or said: sky')
    assert first.endswith('said: road. No pixel is of class 0: is reduce_zero_label=True missing, because 0 means no '
                          'class, or too much?')


def test_another_label_map_or_another_label_makes_another_image(frame):
    known = [TASK.identity(frame([[0, 1]], **changed)) for changed in (
        {}, {}, dict(label_map={1: 255}), dict(reduce_zero_label=True))]
    assert known[0] == known[1] and len(set(known)) == 3
    assert TASK.identity(frame([[0, 2]], name='other')) != known[0]


def test_places_where_the_teacher_is_asked_are_few_and_labelled():
    labels = torch.zeros(1, 40, 40, dtype=torch.int64)
    labels[:, :20] = 255
    logits = torch.zeros(1, 3, 10, 10)
    logits[:, 1] = 1
    said, right = TASK.classified(logits, labelled(*labels))
    assert said.tolist() == [1] * 8 and right.tolist() == [0] * 8  # two rows of four places


# --- measures ---

# Two images of classes 0 and 1; class 2 is nowhere. Intersection, union, prediction, label, in pixels.
AREAS = [tuple(map(torch.tensor, each)) for each in (
    ([2., 1, 0], [4., 3, 0], [3., 2, 0], [3., 2, 0]),
    ([5., 0, 0], [5., 0, 0], [5., 0, 0], [5., 0, 0]))]


@pytest.fixture
def metric():
    from mmseg.evaluation import IoUMetric
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    return metric


def test_the_measure_is_the_mean_of_unrounded_areas_over_the_classes_that_are_there(metric, capsys):
    found = TASK.measure(metric, AREAS)
    # Of sums: class 0 has 7 of 9, class 1 1 of 3; class 2 is left out.
    assert found['mIoU'] == pytest.approx(100 * (7 / 9 + 1 / 3) / 2, rel=1e-12) and found['absent'] == 1
    assert found['aAcc'] == pytest.approx(80.)
    assert capsys.readouterr().out == ''
    rounded = metric.compute_metrics(AREAS)
    assert {key: round(found[key], 2) for key in rounded} == pytest.approx(rounded, abs=1e-4)


def test_areas_of_a_draw_are_added_before_they_are_measured(metric):
    draws_BN = np.array([[0, 1], [1, 1], [0, 0]])
    expected = [TASK.measure(metric, [AREAS[i] for i in draw]) for draw in draws_BN]
    found = list(TASK.resampled(metric, AREAS, draws_BN))
    assert [len(each) for each in found] == [1, 1, 1]
    assert [TASK.measure(metric, each) for each in found] == [pytest.approx(each) for each in expected]
    assert list(TASK.resampled(object(), [3, 4], draws_BN)) == [[3, 4], [4, 4], [3, 3]]


def test_a_class_that_a_draw_lacks_is_left_out_even_where_it_was_said(metric):
    # In the second image alone class 1 has no label; here one pixel of class 0 is taken for it.
    said = tuple(map(torch.tensor, ([4., 0, 0], [5., 1, 0], [4., 1, 0], [5., 0, 0])))
    assert TASK.measure(metric, [said]) == pytest.approx(dict(aAcc=80., mIoU=80., mAcc=80., absent=2))
    nothing = tuple(torch.zeros(3) for _ in range(4))
    assert np.isnan(TASK.measure(metric, [nothing])['mIoU'])


def test_counts_beyond_float32_are_added_exactly(metric):
    big, one = ([tuple(torch.tensor([value, 0., 0]) for _ in range(4))] for value in (2.**24, 1.))
    right = one[0]
    wrong = torch.zeros(3), *one[0][1:]
    found = TASK.measure(metric, big + [right] * 3 + [wrong])
    assert found['mIoU'] == pytest.approx(100 * (2**24 + 3) / (2**24 + 4), rel=1e-12)


def test_who_does_not_look_takes_all_for_the_most_frequent_class(metric):
    # Class 0 has 8 of 10 pixels: it is met by 8 of 10, class 1 by none.
    assert TASK.measure(metric, TASK.unseeing(AREAS))['mIoU'] == pytest.approx(100 * (8 / 10 + 0) / 2)


# --- the logits of pixels ---

def test_ignored_pixels_take_no_part_in_the_logit_loss():
    network = build()
    student, teacher = torch.randn(2, 1, 3, 2, 2)
    samples = labelled([[0, 255], [1, 2]])
    outputs = [Outputs(network, torch.zeros(1, 3, 4, 4), samples, logits, {}) for logits in (student, teacher)]
    counted = LogitLoss(temperature=2.).compare(*outputs, 0)
    rest = [logits.flatten(2)[..., [0, 2, 3]] for logits in (student, teacher)]
    torch.testing.assert_close(counted, logit_loss(*rest, 2.))


def test_a_colour_a_class_and_black_for_what_is_ignored():
    sample, = labelled([[1, 255]])
    sample.pred_sem_seg = PixelData(data=torch.tensor([[[0, 1]]]))
    palette = [[9, 9, 9], [1, 2, 3]]
    assert np.asarray(TASK.picture(sample, palette, is_said=False)).tolist() == [[[1, 2, 3], [0, 0, 0]]]
    assert np.asarray(TASK.picture(sample, palette, is_said=True)).tolist() == [[[9, 9, 9], [1, 2, 3]]]
