"""Predictions on test images for the report, from the smallest data sets that show what may go wrong."""

import json

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

import mmamd
from mmamd.datasets import Digits
from mmamd.pipeline import examples as module_of_examples
from mmamd.pipeline.examples import LONGEST_SIDE, spread_indices
from mmamd.tasks import Classification
from mmamd.visualization.examples_plot import Examples


def predict_examples(dataset, networks, folder, names=None):
    return module_of_examples.predict_examples(dataset, networks, folder, Classification(), names)


class Images:
    """A test set of the shape that the pipeline reads: image i is of colour (i, 10, 200) and of class labels[i]."""

    def __init__(self, labels, shape=(3, 4, 4), dtype=torch.uint8, classes=None, paths=None):
        self.labels, self.shape, self.dtype, self.paths = labels, shape, dtype, paths
        self.metainfo = {} if classes is None else {'classes': classes}

    def __len__(self):
        return len(self.labels)

    def get_cat_ids(self, i):
        return [self.labels[i]]

    def get_data_info(self, i):
        return {'gt_label': self.labels[i], **({'img_path': self.paths[i]} if self.paths else {})}

    def __getitem__(self, i):
        colour = torch.tensor([i, 10, 200][:self.shape[0]]).view(-1, 1, 1)
        sample = DataSample().set_gt_label(self.labels[i])
        return {'inputs': colour.expand(self.shape).to(self.dtype), 'data_samples': sample}


class Says(torch.nn.Module):
    """A network that gives class 1 the score 0.75 of two, whatever it sees."""

    def __init__(self, to_rgb=False, fields=('pred_score', 'pred_label')):
        super().__init__()
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            self.data_preprocessor = MODELS.build(dict(type='ClsDataPreprocessor', to_rgb=to_rgb))
        self.fields = fields

    def test_step(self, batch):
        assert not self.training and not torch.is_grad_enabled()
        samples = self.data_preprocessor(batch)['data_samples']
        said = {'pred_score': torch.tensor([0.25, 0.75]), 'pred_label': torch.tensor([1])}
        for sample in samples:
            for name in self.fields:
                sample.set_field(said[name], name)
        return samples


class Segments(torch.nn.Module):
    """A network whose predictions are maps."""

    def test_step(self, batch):
        return [BaseDataElement(pred_sem_seg=torch.zeros(4, 4)) for _ in batch['data_samples']]


def test_images_are_spread_over_the_classes():
    # Sorted by class 0 0 0 0 1 1 2 2: the middles of four equal parts.
    assert spread_indices([2, 0, 1, 0, 2, 0, 1, 0], num=4) == [3, 7, 6, 4]
    labels = [i // 100 for i in range(1000)]
    assert [labels[i] for i in spread_indices(labels, num=10)] == list(range(10))
    assert sorted(spread_indices([0, 1, 2], num=12)) == [0, 1, 2]


def test_every_network_predicts_every_image(tmp_path):
    found = predict_examples(Images([0, 1]), iter([('teacher', Says()), ('student', Says())]), tmp_path,
                             ['cat', 'dog'])
    assert found.classes == ['cat', 'dog'] and found.skipped is None
    assert [example.label for example in found.examples] == [0, 1]
    for example in found.examples:
        assert {name: (p.label, p.score) for name, p in example.predictions.items()} == {
            'teacher': (1, 0.75), 'student': (1, 0.75)}


@pytest.mark.parametrize('to_rgb, colour', [(False, (1, 10, 200)), (True, (200, 10, 1))])
def test_images_are_saved_in_the_colours_that_the_network_calls_rgb(tmp_path, to_rgb, colour):
    found = predict_examples(Images([0, 1]), iter([('teacher', Says(to_rgb))]), tmp_path)
    image = imread(tmp_path / found.examples[1].image)
    np.testing.assert_allclose(image * 255, np.broadcast_to(colour, (4, 4, 3)), atol=1e-4)


def test_grey_images_stay_grey_and_large_ones_are_made_small(tmp_path):
    found = predict_examples(Images([0], shape=(1, 2 * LONGEST_SIDE, LONGEST_SIDE)), iter([('teacher', Says())]),
                             tmp_path)
    assert imread(tmp_path / found.examples[0].image).shape == (LONGEST_SIDE, LONGEST_SIDE // 2)


@pytest.mark.parametrize('dataset, network, reason', [
    (Images([0]), Segments(), r"predictions are BaseDataElement with \['pred_sem_seg'\], and no class scores"),
    (Images([0]), Says(fields=('pred_score',)), 'no class scores'),
    (Images([[0, 1]]), Says(), 'the test images do not have exactly one class each'),
    (Images([0], dtype=torch.float32), Says(), 'the test pipeline gives torch.float32 images'),
    (Images([0], shape=(2, 4, 4)), Says(), r'images of shape \(2, 4, 4\)')])
def test_what_cannot_be_shown_is_skipped_with_its_reason(tmp_path, dataset, network, reason):
    found = predict_examples(dataset, iter([('teacher', network)]), tmp_path)
    assert found.examples == []
    with pytest.raises(ValueError, match=reason):
        raise ValueError(found.skipped)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_without_classes_of_images_is_spread_by_its_order(tmp_path):
    class Unordered(Images):
        get_cat_ids = BaseDataset.get_cat_ids  # raises, as that of a segmentation set does

    found = predict_examples(Unordered([1, 0]), iter([('teacher', Says())]), tmp_path)
    assert [example.label for example in found.examples] == [1, 0]


@pytest.mark.parametrize('labels, paths, names', [
    ([0, 1, 0], ['test/cat/1.png', 'test/dog/2.png', 'test/cat/3.png'], ['cat', 'dog']),
    ([0, 1], ['all/1.png', 'all/2.png'], None),  # one folder for all classes
    ([0, 0], ['a/1.png', 'b/2.png'], None),  # two folders for one class
    ([1, 2], ['a/1.png', 'b/2.png'], None),  # class 0 has no image
    ([0, 1], None, None)])
def test_classes_are_named_after_folders_that_hold_one_class_each(labels, paths, names):
    assert Classification().class_names(Images(labels, paths=paths)) == names
    assert Classification().class_names(Images(labels, paths=paths, classes=('own', 'names'))) == ['own', 'names']


# --- in a run ---

def test_examples_of_a_run_are_what_its_networks_say(finished_run, digits):
    work_dir, _ = finished_run
    examples = Examples.load(work_dir / 'export' / 'examples.json')
    assert len(examples.examples) == 12
    # 12 images over 10 classes: each class once, two twice.
    assert {example.label for example in examples.examples} == set(range(10))
    samples = Digits(split='test', indices=100)
    labels = [samples[i]['gt_label'] for i in range(100)]
    images = digits('test')[0][spread_indices(labels)]
    with torch.no_grad():
        scores = mmamd.load_student(work_dir)(images).softmax(1)
    for example, score in zip(examples.examples, scores, strict=True):
        assert set(example.predictions) == {'teacher', 'assistant', 'student'}
        said = example.predictions['student']
        assert said.label == score.argmax() and said.score == pytest.approx(score.max().item(), abs=1e-3)


# --- the report at the end of a run ---

def test_a_run_ends_with_its_report_and_its_pictures_in_the_visualizer(finished_run):
    work_dir, summary = finished_run
    report = (work_dir / 'report.html').read_text()
    assert f'{100 * summary["student"]["value"]:.2f}' in report and summary['record']['command'][:20] in report
    folder = work_dir / 'export' / 'pictures' / 'vis_data'
    assert {path.stem.removesuffix('_0') for path in (folder / 'vis_image').iterdir()} == {
        'selection', 'examples', 'importance', 'kept', 'loss_joint', 'loss_student', 'cost'}
    rows = [json.loads(line) for line in (folder / 'scalars.json').read_text().splitlines()]
    assert [row['selection/scale'] for row in rows[:-1]] == [0.3, 0.5, 0.75]
    assert rows[-1]['outcome/student'] == summary['student']['value']
    assert 'Not drawn' not in report and 'not finished' not in report


def test_the_planned_arithmetic_of_each_stage_is_noted(finished_run):
    stages = json.loads((finished_run[0] / 'stages.json').read_text())['stages']
    assert stages['joint']['planned_macs'] > stages['export']['planned_macs'] > stages['nest']['planned_macs'] == 0


@pytest.mark.slow
@pytest.mark.draws
def test_a_report_that_cannot_be_drawn_costs_no_result(tiny_config, tmp_path, monkeypatch):
    from mmamd.pipeline import summary as module

    def broken(*_):
        raise RuntimeError('no picture today')

    monkeypatch.setattr(module, 'write_report', broken)
    # With a name, which must not make one visualizer log for all stages.
    short = {'joint.train_cfg.max_epochs': 1, 'student.train_cfg.max_epochs': 1, 'visualizer.name': "it's mine"}
    with pytest.raises(RuntimeError, match='no picture today'):
        mmamd.compress(tiny_config(**short), work_dir=tmp_path / 'run')
    assert json.loads((tmp_path / 'run' / 'summary.json').read_text())['student']['value'] >= 0
    monkeypatch.undo()
    mmamd.compress(tiny_config(**short), work_dir=tmp_path / 'run')  # the same command again: nothing is trained
    assert (tmp_path / 'run' / 'report.html').is_file()
    for folder in ('joint/*', 'student/*', 'export/pictures'):
        assert len(list((tmp_path / 'run').glob(f'{folder}/vis_data/scalars.json'))) == 1, folder
