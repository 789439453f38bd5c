"""Toys: ten images numbered 0 to 9. A network that keeps k units is right on the images below k: its accuracy is k/10.

The teacher is right on 9 images, the whole shared network on 10, the candidates on 3, 6 and 8. Students that share
nothing are right on 4, 5 and 5.
"""

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS
from mmengine.runner import Runner
from mmpretrain.models.classifiers import BaseClassifier

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.registry import MODELS
from mmamd.selection.npsd_hook import NPSDSelectionHook
from mmamd.selection.panel import Panel
from mmamd.structures import Cost, Selection


class Prefix(torch.nn.Module, ElasticBackbone):
    """Its first ``active`` units know one image each."""

    def __init__(self, count):
        super().__init__()
        self.count = self.active = count

    def activate(self, kept=None):
        self.active = self.count if kept is None else kept['u']


class KnowsTheFirst(BaseClassifier):
    """Right (1) on the images whose number is below the units kept, wrong (0) on the others."""

    def __init__(self, count, data_preprocessor=None):
        super().__init__(data_preprocessor=data_preprocessor)
        self.backbone = Prefix(count)

    def forward(self, inputs, data_samples=None, mode='predict'):
        assert mode == 'predict' and not torch.is_grad_enabled() and not self.training
        return [dict(right=int(number < self.backbone.active)) for number in inputs.tolist()]


def network(count, scale=1.0, kept=None):
    """A network of the panel, as a config; those of one count are slices of one module."""
    return dict(architecture=dict(type='mmamd.KnowsTheFirst', count=count), weights=None, scale=scale,
                kept=None if kept is None else {'u': kept}, cost=dict(macs=kept or count, params=count))


def slices(teacher_scale=1.0):
    return {'teacher': network(9, teacher_scale), '0.20': network(10, 0.2, 3), '0.50': network(10, 0.5, 6),
            '0.70': network(10, 0.7, 8), 'full': network(10)}


def separate():
    return {'teacher': network(9), 'student_0.50': network(4, 0.2), 'student_0.75': network(5, 0.2),
            'student_0.90': network(5, 0.2)}


class Hits(BaseMetric):
    """Share of images that were right, in percent."""

    default_prefix = 'hits'

    def process(self, data_batch, data_samples):
        self.results += [sample['right'] for sample in data_samples]

    def compute_metrics(self, results):
        return {'top1': 100 * float(np.mean(results))}


class Spread(BaseMetric):
    """Standard deviation over the images: no mean over images."""

    process = Hits.process

    def compute_metrics(self, results):
        return {'spread': float(np.std(results))}


class Calls(Hook):
    """Notes which hooks of validation and test were called."""

    def __init__(self):
        self.names = []
        for split in ('val', 'test'):
            for place in ('before', 'after'):
                for name in (f'{place}_{split}', f'{place}_{split}_epoch'):
                    setattr(self, name, lambda *_, name=name, **__: self.names.append(name))


@pytest.fixture(autouse=True)
def registered():
    METRICS.register_module(module=Hits)
    METRICS.register_module(module=Spread)
    MODELS.register_module(module=KnowsTheFirst)
    yield
    METRICS.module_dict.pop('Hits')
    METRICS.module_dict.pop('Spread')
    MODELS.module_dict.pop('KnowsTheFirst')


@pytest.fixture
def make_runner(tmp_path):
    """Function that makes a runner which judges some networks, in batches of 4 of the 10 images."""
    loader = dict(dataset=[dict(inputs=torch.tensor(i)) for i in range(10)], batch_size=4, num_workers=0,
                  collate_fn=dict(type='default_collate'),
                  sampler=dict(type='DefaultSampler', shuffle=False))
    evaluator = [dict(type='Hits'), dict(type='Spread')]

    def make(networks, above=None):
        return Runner(
            Panel(networks), str(tmp_path), val_dataloader=loader, val_evaluator=evaluator,
            val_cfg=dict(type='mmamd.CandidateValLoop', above=above), test_dataloader=loader, test_evaluator=evaluator,
            test_cfg=dict(type='mmamd.CandidateValLoop', split='test', num_bootstrap=0, above=above),
            randomness=dict(seed=3), experiment_name=tmp_path.name, log_level='ERROR',
            default_scope='mmpretrain')
    return make


@pytest.fixture
def runner(make_runner):
    """A runner that judges the candidates, of which the smallest is the student."""
    return make_runner(slices(), above=0.2)


# --- what is measured ---

def test_teacher_whole_network_and_every_candidate_get_their_own_performance(runner):
    metrics = runner.val()
    assert {key: value for key, value in metrics.items() if key.endswith('top1')} == {
        'teacher/hits/top1': 90, 'full/hits/top1': 100,
        '0.20/hits/top1': 30, '0.50/hits/top1': 60, '0.70/hits/top1': 80}


def test_a_second_pass_measures_the_same_because_no_result_is_left_over(runner):
    assert runner.val() == runner.val()


def test_a_batch_is_preprocessed_once_for_all_networks(runner):
    calls = []
    for module in {runner.model.data_preprocessor, *(judged.data_preprocessor for judged in runner.model.judged)}:
        module.register_forward_hook(lambda *_: calls.append(1))
    runner.val()
    assert len(calls) == 3  # 10 images in batches of 4


def test_networks_are_evaluated_in_eval_mode_without_gradients(runner):
    runner.model.train()
    runner.val()  # the toys assert it
    assert not any(module.training for module in runner.model.modules())


@pytest.mark.parametrize('split', ['val', 'test'])
def test_hooks_are_called_once_in_a_pair_so_that_swapped_weights_stay_swapped_for_all_networks(runner, split):
    calls = Calls()
    runner.register_hook(calls)
    getattr(runner, split)()
    assert calls.names == [f'before_{split}', f'before_{split}_epoch', f'after_{split}_epoch', f'after_{split}']


def test_measurements_are_fractions_ascending_by_scale(runner):
    runner.val()
    references, candidates = runner.val_loop.measurements('hits/top1', percent=True)
    assert {name: (m.scale, m.value) for name, m in references.items()} == {'teacher': (1.0, 0.9), 'full': (1.0, 1.0)}
    assert [(m.scale, m.value) for m in candidates] == [(0.2, 0.3), (0.5, 0.6), (0.7, 0.8)]


def test_an_assistant_that_teaches_is_measured_at_its_own_scale(make_runner):
    runner = make_runner(slices(teacher_scale=0.9))
    runner.val()
    references, _ = runner.val_loop.measurements('hits/top1', percent=True)
    assert (references['teacher'].scale, references['teacher'].key) == (0.9, '0.90')


def test_separate_networks_are_measured_under_their_names_in_the_order_given(make_runner):
    runner = make_runner(separate())
    metrics = runner.val()
    assert {key: value for key, value in metrics.items() if key.endswith('top1')} == {
        'teacher/hits/top1': 90, 'student_0.50/hits/top1': 40, 'student_0.75/hits/top1': 50,
        'student_0.90/hits/top1': 50}
    references, students = runner.val_loop.measurements('hits/top1', percent=True)
    assert list(references) == ['teacher']  # they share no whole network
    assert [(m.name, m.key, m.scale, m.value) for m in students] == [
        ('student_0.50', 'student_0.50', 0.2, 0.4), ('student_0.75', 'student_0.75', 0.2, 0.5),
        ('student_0.90', 'student_0.90', 0.2, 0.5)]


def test_a_slice_is_called_by_its_scale_alone(runner):
    runner.val()
    references, candidates = runner.val_loop.measurements('hits/top1', percent=True)
    assert [m.name for m in (*references.values(), *candidates)] == [None, 'full', None, None, None]
    assert [m.key for m in candidates] == ['0.20', '0.50', '0.70']


def test_the_loop_knows_what_each_network_costs(runner):
    assert runner.val_loop.costs['0.50'] == Cost(6, 10) and runner.val_loop.costs['full'] == Cost(10, 10)


# --- the bootstrap ---

def test_draws_are_paired_so_a_network_that_knows_more_is_never_drawn_below_one_that_knows_less(runner):
    runner.val()
    references, candidates = runner.val_loop.measurements('hits/top1', percent=True)
    # Nested knowledge: 3 < 6 < 8 < 9 images. Unpaired draws of 0.8 and 0.9 would cross in about a quarter of cases.
    draws = np.array([m.resampled for m in (*candidates, references['teacher'])])
    assert draws.shape == (4, 200)
    assert (np.diff(draws, axis=0) >= 0).all()


def test_the_standard_error_is_that_of_a_share(runner):
    runner.val()
    _, candidates = runner.val_loop.measurements('hits/top1', percent=True)
    for m in candidates:
        expected = (m.value * (1 - m.value) / 10) ** 0.5  # sqrt(p (1 - p) / n)
        assert np.std(m.resampled) == pytest.approx(expected, rel=0.2)  # 200 draws: a relative error of about 5 %


def test_a_metric_that_is_no_mean_over_images_is_computed_anew_in_every_draw(runner):
    runner.val()
    top1, spread = (np.array(runner.val_loop.table['0.50'][1][key]) for key in ('hits/top1', 'spread'))
    share = top1 / 100
    # Of zeros and ones: sqrt(p (1 - p)), in the same draws.
    assert spread == pytest.approx(np.sqrt(share * (1 - share)))


def test_the_test_split_is_reported_without_draws_and_chooses_nothing(runner, tmp_path):
    runner.register_hook(NPSDSelectionHook(metric='hits/top1'))
    metrics = runner.test()
    assert metrics['0.50/hits/top1'] == 60
    assert runner.test_loop.table['0.50'][1] == {}
    assert not (tmp_path / 'selection.json').exists()


# --- the choice ---

def test_the_hook_chooses_by_the_worked_rule_and_saves_the_table(runner, tmp_path):
    runner.register_hook(NPSDSelectionHook(metric='hits/top1'))
    runner.val()
    selection = Selection.load(tmp_path / 'selection.json')
    # -(0.9 - 0.6) / (1 - 0.5) = -0.6 and -(0.9 - 0.8) / (1 - 0.7) = -1/3: the larger is that of 0.7.
    assert selection.scores['npsd'] == [None, pytest.approx(-0.6), pytest.approx(-1 / 3)]
    assert (selection.chosen, selection.above) == ('0.70', 0.2)


def test_the_derivative_can_be_taken_to_the_whole_shared_network(runner, tmp_path):
    runner.register_hook(NPSDSelectionHook(metric='hits/top1', reference='full'))
    runner.val()
    # -(1.0 - 0.6) / 0.5 = -0.8 and -(1.0 - 0.8) / 0.3 = -2/3.
    assert Selection.load(tmp_path / 'selection.json').scores['npsd'][1:] == pytest.approx([-0.8, -2 / 3])


def test_what_can_be_chosen_is_bounded_by_the_loop(make_runner, tmp_path):
    runner = make_runner(slices(), above=0.5)
    runner.register_hook(NPSDSelectionHook(metric='hits/top1', rule='manual', scale='smallest'))
    runner.val()
    selection = Selection.load(tmp_path / 'selection.json')
    assert (selection.chosen, selection.above) == ('0.70', 0.5)
    assert [score is None for score in selection.scores['npsd']] == [True, True, False]


def test_the_best_of_separate_networks_is_chosen_the_first_of_equal_ones(make_runner, tmp_path):
    runner = make_runner(separate())
    runner.register_hook(NPSDSelectionHook(metric='hits/top1', rule='best'))
    runner.val()
    selection = Selection.load(tmp_path / 'selection.json')
    assert (selection.chosen, selection.above) == ('student_0.75', None)
    assert selection.scores == {'best': [0.4, 0.5, 0.5]}


def test_another_rule_may_take_the_place_of_the_configured_one_and_its_other_options_stay():
    hook = NPSDSelectionHook(metric='hits/top1', rule='manual', scale=0.5, lam=0.3, report_test=False)
    assert hook.with_rule('best') == NPSDSelectionHook(metric='hits/top1', rule='best', lam=0.3, report_test=False)


# --- bad input ---

def test_npsd_is_refused_for_networks_of_one_scale(make_runner):
    runner = make_runner(separate())
    runner.register_hook(NPSDSelectionHook(metric='hits/top1'))
    with pytest.raises(ValueError, match="student_0.50, student_0.75, student_0.90 are not distinct .* rule='best'"):
        runner.val()


def test_the_whole_shared_network_is_no_reference_of_networks_that_share_none(make_runner):
    runner = make_runner(separate())
    runner.register_hook(NPSDSelectionHook(metric='hits/top1', rule='best', reference='full'))
    with pytest.raises(ValueError, match="reference='full' is the shared network .* share none; set reference='teach"):
        runner.val()


def test_a_manual_scale_can_be_checked_before_anything_is_measured():
    NPSDSelectionHook(rule='manual', scale=0.5).check_scale([0.5, 0.7])
    with pytest.raises(ValueError, match='got scale=0.4; .* eligible scales 0.50, 0.70'):
        NPSDSelectionHook(rule='manual', scale=0.4).check_scale([0.5, 0.7])


def test_an_unknown_metric_is_refused_with_those_there_are(runner):
    runner.val()
    with pytest.raises(ValueError, match=r"no metric 'hits/top5' among \['hits/top1', 'spread'\]; set metric="):
        runner.val_loop.measurements('hits/top5', percent=True)


def test_a_percentage_taken_for_a_fraction_is_refused(runner):
    runner.val()
    with pytest.raises(ValueError, match='hits/top1 is 90.0, expected 0 to 1 because percent=False; set percent='):
        runner.val_loop.measurements('hits/top1', percent=False)


def test_an_unknown_reference_is_refused():
    with pytest.raises(ValueError, match=r"reference must be one of \('teacher', 'full'\), got 'student'"):
        NPSDSelectionHook(reference='student')
