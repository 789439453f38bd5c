"""The whole method on a small segmentor: the same stages, mIoU in the place of accuracy."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmamd
from mmamd.datasets.scenes import PALETTE, scene
from mmamd.pruning.complexity import network_cost, rest_cost
from mmamd.registry import MODELS
from mmamd.structures import Selection
from mmamd.tasks import Segmentation
from mmamd.visualization.class_plot import ClassValues
from mmamd.visualization.refit_plot import Refitted
from mmamd.visualization.scenes_plot import Scenes

pytestmark = pytest.mark.seg
TINY = Path(__file__).parent / 'tiny_segmentation.py'
ROOT = TINY.parents[2]
SHARE = 0.24  # of the teacher's backbone, in MACs: what a ResNetV1c of half its channels has


@pytest.fixture(scope='session')
def segmentor(tmp_path_factory):
    """Checkpoint of the network of tiny_segmentation.py, which knows most pixels of the scenes."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    images, labels = map(torch.as_tensor, map(np.stack, zip(*map(scene, range(36)), strict=True)))
    images = images.permute(0, 3, 1, 2).sub(127.5).div(60)
    with DefaultScope.overwrite_default_scope('mmseg'), torch.random.fork_rng():
        torch.manual_seed(0)
        network = MODELS.build(Config.fromfile(TINY).model.architecture)
        network.init_weights()
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2)
        for step in range(60):
            batch = torch.arange(8 * step, 8 * step + 8) * 7 % 36
            samples = [SegDataSample(gt_sem_seg=PixelData(data=each[None].long())) for each in labels[batch]]
            losses = network(images[batch], samples, mode='loss')
            optimizer.zero_grad()
            sum(value for key, value in losses.items() if 'loss' in key).backward()
            optimizer.step()
    path = tmp_path_factory.mktemp('segmentor') / 'teacher.pth'
    torch.save({'state_dict': network.state_dict()}, path)
    return path


@pytest.fixture(scope='session')
def read(tmp_path_factory, segmentor):
    """Function that reads tiny_segmentation.py over its scenes and teacher, with overrides."""
    root = tmp_path_factory.mktemp('scenes')

    def read(**overrides):
        config = Config.fromfile(TINY)
        config.merge_from_dict({'data_root': str(root), 'model.teacher': str(segmentor), **overrides})
        return config

    return read


@pytest.fixture(scope='session')
def run(read, tmp_path_factory):
    """(work_dir, summary) of one whole run. Look at it."""
    work_dir = tmp_path_factory.mktemp('segmentation') / 'run'
    return work_dir, mmamd.compress(read(), work_dir=work_dir)


def test_the_whole_method_compresses_a_segmentor(run, read):
    work_dir, summary = run
    assert list(summary['stages']) == ['score', 'nest', 'joint', 'select', 'student', 'export']
    assert summary['teacher']['value'] > 0.6  # of four classes, two of which are large
    # Scales are of the backbone: of the whole segmentor the heads, which are not pruned, come on top.
    teacher = MODELS.build({**read().model.architecture, '_scope_': 'mmseg'})
    backbone, heads = network_cost(teacher).macs - rest_cost(teacher).macs, rest_cost(teacher).macs
    assert heads > 0.02 * backbone and summary['teacher']['macs'] == backbone + heads
    assert 0.35 * backbone < summary['student']['macs'] - heads <= 0.4 * backbone
    report = (work_dir / 'report.html').read_text()
    assert 'compressed to 40.0% of its backbone MACs' in report and 'of the whole network, heads included' in report
    # Resampled images move the means over classes, those of all candidates in the same way.
    measured = Selection.load(work_dir / 'select' / 'selection.json').measurements
    assert all(0 < np.std(each.resampled) < 0.05 and each.collapsed is None for each in measured)
    assert np.corrcoef(measured[0].resampled, measured[1].resampled)[0, 1] > 0.5


def test_the_losses_are_those_of_both_heads_of_the_logits_and_of_the_features(run):
    work_dir, _ = run
    rows = [json.loads(line) for path in (work_dir / 'joint').glob('*/vis_data/scalars.json')
            for line in path.read_text().splitlines()]
    logged = set().union(*rows)
    assert {'0.40.loss_ce.decode.loss_ce', '0.40.loss_ce.aux.loss_ce', '0.40.decode.acc_seg', '0.40.loss_logit',
            '0.40.loss_cwd', '0.40.loss_feat'} <= logged


def test_the_loaded_student_is_as_good_as_the_summary_says(run):
    work_dir, summary = run
    student = mmamd.load_student(work_dir)
    images, labels = zip(*(scene(number) for number in range(100, 106)), strict=True)
    batch = dict(inputs=[torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1) for image in images])
    inputs = student.data_preprocessor(batch, training=False)['inputs']
    with torch.no_grad():
        logits = torch.nn.functional.interpolate(student(inputs), (48, 64), mode='bilinear')
    said, right = logits.argmax(1), torch.as_tensor(np.stack(labels))
    shares = [((said == k) & (right == k)).sum() / (((said == k) | (right == k)) & (right != 255)).sum()
              for k in range(4)]
    assert summary['student']['value'] == pytest.approx(float(np.mean(shares)), abs=1e-4)


def test_the_report_shows_scenes_in_the_colours_of_the_data_set(run):
    work_dir, _ = run
    scenes = Scenes.load(work_dir / 'export' / 'scenes.json')
    assert list(scenes.columns) == ['image', 'truth', 'teacher', 'assistant', 'student']
    image, truth, student = (imread(work_dir / 'export' / scenes.columns[name][0]) * 255
                             for name in ('image', 'truth', 'student'))
    expected, labels = scene(100)
    assert abs(image - expected).max() < 1
    assert (truth[labels == 3] == PALETTE[3]).all() and (truth[labels == 255] == 0).all()
    assert (student == truth).all(-1).mean() > 0.7
    assert 'Networks of the run on test scenes' in (work_dir / 'report.html').read_text()


def test_the_report_shows_what_each_class_is_worth(run):
    work_dir, summary = run
    found = ClassValues.load(work_dir / 'export' / 'classes.json')
    assert found.classes == ['sky', 'building', 'road', 'car'] and list(found.values) == ['teacher', 'student']
    for name, values in found.values.items():  # the host rounds its mean to two digits
        assert np.mean(values) / 100 == pytest.approx(summary[name]['value'], abs=1e-4)
    assert 'IoU of each class on the test images' in (work_dir / 'report.html').read_text()


def test_the_host_reads_the_student_with_the_names_and_colours_of_its_classes(run):
    from mmseg.apis import inference_model, init_model
    student = init_model(str(run[0] / 'student' / 'config.py'), str(run[0] / 'student' / 'student.pth'), device='cpu')
    assert student.dataset_meta == dict(classes=['sky', 'building', 'road', 'car'], palette=PALETTE)
    image, labels = scene(100)
    said = inference_model(student, image[..., ::-1].copy()).pred_sem_seg.data[0].numpy()
    assert (said == labels).mean() > 0.7


def test_the_student_leaves_in_all_forms_that_a_cnn_does(run, tmp_path):
    forms = ['pth', 'safetensors', 'onnx', 'onnx-any-size', 'torch-export', 'mmseg']
    written = mmamd.export_model(run[0], forms=forms, out=tmp_path)
    assert max(each.difference for each in written) <= 1e-5
    assert written[-1].needs == 'mmsegmentation, mmamd'


def test_teacher_assistant_and_student_are_timed_and_what_integers_lose_is_counted_by_pixels(run, tmp_path):
    copied = shutil.copytree(run[0], tmp_path / 'run')
    found = mmamd.bench(copied, [1, 2], threads=1, seconds=0.)
    assert [(row['network'], row['runtime'], row['precision']) for row in found['networks']] == [
        *((name, runtime, 'float32') for name in ('teacher', 'assistant', 'student')
          for runtime in ('torch', 'ONNX Runtime')), ('student', 'ONNX Runtime', 'int8')]
    comparison = found['networks'][-1]['comparison']
    assert comparison['num_images'] == 6 and comparison['reference'] > 0.7
    assert any('of the positions of 6 test images right' in text for text in found['notes'] + found['warnings'])


def test_runs_are_compared_over_test_images_by_areas_that_are_summed_first(run, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'benchmarks')
    from compare_runs import compare
    from mmseg.evaluation import IoUMetric
    # Class 0 has 7 of 9 pixels, class 1 has 1 of 3, class 2 no labels.
    areas = tuple(torch.tensor([[7, 1, 0], [9, 3, 2], [8, 2, 2], [8, 2, 0]]))
    assert Segmentation().measure(IoUMetric(), [areas])['mIoU'] / 100 == pytest.approx((7 / 9 + 1 / 3) / 2)
    first, second = compare([run[0], run[0]])
    assert first['test'] == pytest.approx(run[1]['student']['value'], abs=1e-4) and first['stderr'] > 0
    assert (second['difference'], second['low'], second['high']) == (0., 0., 0.)


def test_candidates_are_made_good_without_training(read, tmp_path):
    refit = {'compression.refit': dict(num_images=16, num_images_candidates=16), 'method.candidates': 'refit'}
    mmamd.compress(read(**refit), work_dir=tmp_path / 'run')
    found = Refitted.load(tmp_path / 'run' / 'refit' / 'refit.json').networks['0.40']
    assert all(after < before for before, after in found.errors.values())
    assert list(found.errors)[-1] == 'head.conv_seg'


@pytest.mark.parametrize('start', ['nested', 'together'])
def test_candidates_of_a_transformer_share_a_refit_of_a_dense_head(start, read, tmp_path):
    config = read(**{
        'model.teacher': None, 'compression.refit': dict(num_images=16), 'compression.importance.check_teacher': False,
        'method.start': start, 'joint.train_cfg': dict(max_iters=1, epoch_iters=1),
        'student.train_cfg': dict(max_iters=1, epoch_iters=1)})
    config.compression.prune = ('head', 'neuron')
    config.model.architecture = dict(
        type='EncoderDecoder', train_cfg=dict(), test_cfg=dict(mode='whole'),
        backbone=dict(type='mmamd.MaskedViT', img_size=(48, 64), patch_size=8, out_type='featmap', arch=dict(
            embed_dims=12, num_layers=2, num_heads=3, feedforward_channels=24)),
        decode_head=dict(type='FCNHead', in_channels=12, in_index=-1, channels=12, num_convs=0, concat_input=False,
                         num_classes=4, loss_decode=dict(type='CrossEntropyLoss')))
    with DefaultScope.overwrite_default_scope('mmseg'), torch.random.fork_rng():
        torch.manual_seed(0)
        network = MODELS.build(config.model.architecture)
        network.init_weights()
    torch.save({'state_dict': network.state_dict()}, tmp_path / 'teacher.pth')
    config.model.teacher = str(tmp_path / 'teacher.pth')
    mmamd.compress(config, work_dir=tmp_path / 'run')
    found = Refitted.load(tmp_path / 'run' / 'refit' / 'refit.json').networks
    before, after = next(iter(found.values())).errors['head.conv_seg']
    assert after < before


def other_student(strides=(1, 2, 1, 1)):
    architecture = Config.fromfile(TINY).model.architecture.to_dict()
    architecture.pop('auxiliary_head')
    head = {**architecture['decode_head'], 'in_channels': 32}
    return {**architecture, 'decode_head': head, 'backbone': dict(
        type='mmseg.ResNetV1c', depth=18, stem_channels=4, base_channels=4, strides=strides, dilations=(1, 1, 2, 4))}


@pytest.fixture
def to_another(read):
    """Function that reads tiny_segmentation.py for a student of another architecture, by logits alone."""
    def read_other(student, scale):
        config = read(**{'compression.student_scale': scale, 'method.type': 'mmamd.KD',
                         'model.losses.feat.weight': 0.})
        config.compression.student_architecture = student
        return config

    return read_other


def test_a_student_may_be_a_segmentor_of_another_architecture(to_another, tmp_path):
    summary = mmamd.compress(to_another(other_student(), SHARE), work_dir=tmp_path / 'run')
    student = mmamd.load_student(tmp_path / 'run')
    assert type(student.backbone).__name__ == 'ResNetV1c' and summary['student']['value'] > 0
    assert summary['student']['params'] == sum(parameter.numel() for parameter in student.parameters())


@pytest.mark.parametrize('student, scale, message', [
    (other_student(), 0.5, "has 0.2394 of the macs of the teacher's backbone, but compression.student_scale=0.5"),
    (other_student(strides=(1, 2, 2, 1)), SHARE,
     r'has logits of shape \(4, 3, 4\) .*, the teacher \(4, 6, 8\); give both maps of one size, by the strides')])
def test_a_student_of_another_scale_or_of_other_maps_is_refused(student, scale, message, to_another, tmp_path):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(to_another(student, scale), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_run_in_steps_that_is_killed_at_random_ends_where_an_uninterrupted_one_does(run, read, tmp_path, monkeypatch):
    from mmamd.distillation import JointTrainLoop
    step, draw = JointTrainLoop.step, random.Random(0)
    for _ in range(2):  # two deaths, in whichever stages they fall
        left = draw.randint(1, 6)

        def dies(self, batch):
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            return step(self, batch)

        monkeypatch.setattr(JointTrainLoop, 'step', dies)
        with pytest.raises(KeyboardInterrupt):
            mmamd.compress(read(), work_dir=tmp_path / 'run')
    monkeypatch.setattr(JointTrainLoop, 'step', step)
    mmamd.compress(read(), work_dir=tmp_path / 'run')
    whole, resumed = (torch.load(folder / 'student' / 'student.pth', weights_only=True)['state_dict']
                      for folder in (run[0], tmp_path / 'run'))
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


@pytest.mark.parametrize('head, norm', [
    ({}, 'psp_modules.0'),
    (dict(type='ASPPHead', dilations=(1, 2)), 'image_pool.1')], ids=['PPM', 'ASPP'])
def test_a_pyramid_of_one_image_is_refused_before_anything_is_written(head, norm, read, tmp_path):
    config = read(**{'train_dataloader.batch_size': 1})
    config.model.architecture.decode_head.update(head)
    if head:
        del config.model.architecture.decode_head['pool_scales']
        torch.save({'state_dict': MODELS.build({**config.model.architecture, '_scope_': 'mmseg'}).state_dict()},
                   tmp_path / 'aspp.pth')
        config.model.teacher = str(tmp_path / 'aspp.pth')
    with pytest.raises(ValueError, match=f'a batch of one image gives the batch norm decode_head.{norm}'):
        mmamd.compress(config, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_checkpoint_of_another_depth_is_refused_before_anything_is_written(read, segmentor, tmp_path):
    with pytest.raises(ValueError, match=rf'{segmentor} does not fit the network.* \(depth, widths'):
        mmamd.compress(read(**{'model.architecture.backbone.depth': 34}), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_another_label_map_is_another_run(run, read):
    config = read(**{f'{split}_dataloader.dataset.dataset.reduce_zero_label': True for split in ('train', 'val')})
    with pytest.raises(ValueError, match='images'):
        mmamd.compress(config, work_dir=run[0])
