"""A network that has collapsed is named in the table and never chosen."""

from dataclasses import replace

import pytest
import torch
from mmpretrain.evaluation import Accuracy
from selection_toys import TEACHER, VALUES, measurements, students

from mmamd.selection.choice import choose, replay
from mmamd.selection.collapse import NOT_FINITE, Seen, collapse
from mmamd.selection.table import format_table, rows_of
from mmamd.structures import Selection
from mmamd.tasks import Classification

REASON = NOT_FINITE
# Six images of the classes 0 0 0 1 1 2: who names class 0 for all of them is right on half.
LABELS = (0, 0, 0, 1, 1, 2)


def judged(*predicted, topk=(1,), scores=None, teacher=100., resampled=()):
    """Metric key -> in what way a network that names these classes has collapsed, of a teacher that knows them all."""
    rows = torch.eye(4)[list(predicted)] if scores is None else scores
    results = [dict(pred_score=row, gt_label=torch.tensor([label])) for row, label in zip(rows, LABELS, strict=True)]
    metric = Accuracy(topk=topk)
    task = Classification()
    seen = Seen.of(task, metric, results)
    found = {key: collapse(seen, key, value, teacher, resampled)
             for key, value in task.measure(metric, results).items()}
    return {key: reason for key, reason in found.items() if reason}


def collapsed(indices, found=None):
    found = measurements(VALUES) if found is None else found
    return [replace(m, collapsed=REASON) if i in indices else m for i, m in enumerate(found)]


# --- which network has collapsed ---

def test_a_network_that_is_right_more_often_than_without_a_look_is_sound():
    assert judged(0, 0, 0, 1, 0, 0) == {}  # 4 of 6


@pytest.mark.parametrize('predicted', [(0,) * 6, (2,) * 6, (0, 0, 1, 1, 0, 0), (1, 1, 1, 0, 0, 0)])
def test_a_network_that_is_right_as_often_as_without_a_look_or_less_is_at_chance(predicted):
    right = 100 * sum(own == label for own, label in zip(predicted, LABELS, strict=True)) / 6
    assert judged(*predicted) == {'accuracy/top1': f'accuracy/top1 is {right:.4g}, and 50 without a look at the images'}


def test_each_metric_has_its_own_chance():
    # Naming 0 and 1 for all images is right on 5 of 6 by the two largest scores.
    scores = torch.eye(4)[list(LABELS)] + 0.1 * torch.eye(4)[3]
    assert judged(scores=scores, topk=(1, 2)) == {}
    one_wrong = scores.clone()
    one_wrong[0] = torch.tensor([0., 0., 1., 2.])
    assert judged(scores=one_wrong, topk=(1, 2)) == {
        'accuracy/top2': 'accuracy/top2 is 83.33, and 83.33 without a look at the images'}


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_one_score_that_is_not_finite_is_a_collapse_however_good_the_rest_is(value):
    scores = torch.eye(4)[list(LABELS)]
    scores[5, 3] = value
    assert judged(scores=scores) == {'accuracy/top1': REASON}


def test_of_results_without_scores_and_labels_nothing_is_known():
    task, results = Classification(), [1, 0, 1]
    assert task.is_finite(results) and task.unseeing(results) is None
    assert task.unseeing([dict(pred_score=torch.ones(2), gt_label=torch.tensor([0, 1]))]) is None  # multi-label


def test_at_chance_is_a_collapse_only_below_a_teacher_that_is_above_it_beyond_noise():
    at_chance = (0,) * 6  # 50 %
    assert judged(*at_chance, teacher=60.) and not judged(*at_chance, teacher=50.)
    assert judged(*at_chance, teacher=60., resampled=[58., 60., 62.])
    assert not judged(*at_chance, teacher=60., resampled=[40., 60., 80.])
    scores = torch.full((6, 4), float('nan'))
    assert judged(scores=scores, teacher=50.) == {'accuracy/top1': NOT_FINITE}


def test_what_several_metrics_have_seen_is_put_together():
    assert Seen(True, {'a': 1.}) | Seen(False, {'b': 2.}) == Seen(False, {'a': 1., 'b': 2.})


# --- what follows ---

def test_the_best_candidate_is_not_chosen_if_it_has_collapsed():
    chosen = choose(measurements(VALUES), TEACHER, 0.1)
    best = [m.key for m in chosen.measurements].index(chosen.chosen)
    found = choose(collapsed([best]), TEACHER, 0.1)
    assert found.chosen != chosen.chosen
    assert all(scores[best] is None for scores in found.scores.values())
    assert f'{chosen.chosen} has collapsed and cannot be chosen: {REASON}' in found.warnings


def test_it_is_named_in_the_table_and_stays_so_in_its_file(tmp_path):
    found = choose(collapsed([0, 3]), TEACHER, 0.1)
    roles = {row.split()[0]: row.split()[-1] for row in format_table(found).splitlines() if row.strip()[:2] == '0.'}
    assert [key for key, role in roles.items() if role == 'collapsed'] == ['0.10', '0.40']
    found.save(tmp_path / 'selection.json')
    loaded = Selection.load(tmp_path / 'selection.json')
    assert [row.name for row in rows_of(loaded) if row.collapsed == REASON] == ['0.10', '0.40']
    with pytest.raises(ValueError, match=r"rule='manual' got scale=0.4; expected .* eligible scales 0.20, 0.30, 0.50"):
        replay(loaded, 'manual', scale=0.4)


@pytest.mark.parametrize('rule', ['npsd', 'npsd_cost', 'npsd_local', 'best'])
def test_if_all_that_could_be_chosen_have_collapsed_the_causes_are_named(rule):
    with pytest.raises(ValueError, match=rf'all candidates have collapsed.*\(0.20: {REASON}; 0.30: .*learning rate'):
        choose(collapsed(range(1, 9)), TEACHER, 0.1, rule)


def test_of_separate_students_a_sound_one_is_chosen():
    found, teacher = students()
    assert choose(found, teacher, None, 'best').chosen == 'student_b'
    assert choose(collapsed([1], found), teacher, None, 'best').chosen == 'student_c'
