"""A teacher that is no better than chance is refused once it has scored the units, and before anything is trained."""

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

import mmamd
from mmamd.pipeline.chance import Answers, probability_of, share_by_chance
from mmamd.tasks import Classification


def test_chance_is_the_share_of_the_same_answers_given_at_random():
    assert share_by_chance(torch.tensor([5., 5.]), torch.tensor([5., 5.])) == 0.5
    # One answer for all: as often right as its class occurs.
    assert share_by_chance(torch.tensor([10., 0.]), torch.tensor([9., 1.])) == pytest.approx(0.9)
    assert share_by_chance(torch.tensor([3., 1.]), torch.tensor([1., 3.])) == pytest.approx(0.375)  # 3/4 1/4 twice


@pytest.mark.parametrize('num_right, num, share, expected', [
    (0, 5, 0.5, 1.), (3, 3, 0.5, 0.125), (2, 3, 0.5, 0.5), (1, 2, 0.1, 0.19), (3, 5, 1., 1.), (1, 5, 0., 0.)])
def test_probability_of_so_many_right_answers(num_right, num, share, expected):
    assert probability_of(num_right, num, share) == pytest.approx(expected)


def test_probability_is_finite_for_many_images():
    # Mean 1,000 and deviation 31.5 of 100,000 images: 1,000 is every other draw, 1,200 is none.
    assert probability_of(1000, 100_000, 0.01) == pytest.approx(0.5, abs=0.02)
    assert probability_of(1200, 100_000, 0.01) < 1e-8


def answers_of(said, right, num_classes=10):
    """Answers after two batches of a network that takes images for these classes."""
    seen, answers = {}, Answers(Classification(), num_classes)
    samples = [DataSample().set_gt_label(label) for label in right]
    half = len(said) // 2
    parts = [(said[:half], samples[:half]), (said[half:], samples[half:])]
    batches = answers.counting([dict(data_samples=part) for _, part in parts], seen, 'head')
    for (classes, _), _batch in zip(parts, batches, strict=True):
        seen['head'] = torch.nn.functional.one_hot(torch.tensor(classes), num_classes).float()
    return answers


def test_a_good_and_a_middling_teacher_pass():
    right = [i % 10 for i in range(100)]
    answers_of(right, right).check('x.pth')
    said = [label if i % 3 == 0 else (label + 1) % 10 for i, label in enumerate(right)]
    answers_of(said, right).check('x.pth')  # 34 of 100 at a chance of a tenth


@pytest.mark.parametrize('said', [
    [7] * 100, list(np.random.default_rng(0).integers(0, 10, 100)), [(i + 1) % 10 for i in range(100)]],
    ids=['one answer', 'any answer', 'another order of classes'])
def test_a_teacher_near_chance_is_refused_with_the_likely_causes(said):
    with pytest.raises(ValueError, match=r'the teacher x.pth is right on \d+ of 100 training images .*no better than '
                                         'chance. Likely causes: another number of heads.*normalisation.*another order.'
                                         '*never trained.*check_teacher=False'):
        answers_of(said, [i % 10 for i in range(100)]).check('x.pth')


def test_always_the_most_frequent_class_is_chance_too():
    right = [0] * 90 + [1] * 10
    with pytest.raises(ValueError, match=r'right on 90 of 100 training images \(90.0%\), and the same answers given at '
                                         r'random would be on 90 \(90.0%\)'):
        answers_of([0] * 100, right, 2).check('x.pth')


def test_images_of_one_class_tell_nothing():
    answers_of([0] * 100, [0] * 100).check('x.pth')


@pytest.mark.parametrize('logits, labels', [(torch.zeros(2, 3), [[0], [1, 2]]), (torch.zeros(2, 3, 4, 4), [0, 1])])
def test_images_without_one_class_each_are_not_judged(logits, labels):
    samples = [DataSample().set_gt_label(label) for label in labels]
    assert Classification().classified(logits, samples) is None


# --- a run ---

def shuffled(teacher, path):
    """The teacher with its classes in another order."""
    state = torch.load(teacher)['state_dict']
    for key in ('head.fc.weight', 'head.fc.bias'):
        state[key] = state[key].roll(1, 0)
    torch.save({'state_dict': state}, path)
    return str(path)


def test_a_teacher_of_other_classes_is_refused_before_its_scores_are_kept(tiny_config, teacher, tmp_path):
    config = tiny_config(**{'model.teacher': shuffled(teacher, tmp_path / 'other.pth')})
    with pytest.raises(ValueError, match='the teacher .*other.pth is right on .* of 64 training images'):
        mmamd.compress(config, work_dir=tmp_path / 'run')
    assert not list((tmp_path / 'run').glob('*/importance.json'))
    # It is no input of the scores: the run goes on where it stopped.
    config.merge_from_dict({'compression.importance.check_teacher': False, 'method': dict(type='mmamd.KD'),
                            'student.train_cfg.max_epochs': 1})
    assert mmamd.compress(config, work_dir=tmp_path / 'run')['teacher']['value'] < 0.2
