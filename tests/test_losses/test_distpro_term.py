import math

import pytest
import torch
from pairs import STAGES, SWIN, built, cnn_distiller, external_distiller, steps
from torch import nn

from mmamd.distillation.losses.distpro import Process, ProcessLoss
from mmamd.distillation.losses.distpro import term as term_module
from mmamd.distillation.losses.distpro.normalisation import normalised
from mmamd.distillation.losses.distpro.pathways import lay_pathways
from mmamd.distillation.losses.distpro.transforms import CnnTransform, TransformerTransform
from mmamd.distillation.losses.reviewkd import hcl_loss
from mmamd.pruning.complexity import profiled_macs

# Of the pathways t0-s0, t0-s1 and t1-s1.
WEIGHTS = ((1.0, 0.2, 0.5), (0.6, 0.4, 0.5), (0.1, 0.9, 0.5))


@pytest.fixture
def written(tmp_path):
    """Function that writes a process between two levels; returns its file, another one each time."""
    def write(weights=WEIGHTS):
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / 'process.json'
        steps = (0, 50, 100) if len(weights) == 3 else tuple(range(1, len(weights) + 1))
        Process(('a', 'b'), ('c', 'd'), lay_pathways('student_ge_teacher', 2), steps, weights, weights).write(path)
        return str(path)

    return write


def maps(seed=0, channels=(3, 4), sides=(4, 2)):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(4, c, side, side, generator=generator) for c, side in zip(channels, sides, strict=True)]


def two_levels(term, student=None, teacher=None):
    """A term built for two levels of maps, and the outputs that it compares."""
    student, teacher = maps(0) if student is None else student, maps(1, (5, 6)) if teacher is None else teacher
    return built(term, dict(zip('ab', student, strict=True)), dict(zip('cd', teacher, strict=True)))


def distances(term, student, teacher):
    """Of every pathway, written out."""
    own, others = list(student.states.values()), list(teacher.states.values())
    return [hcl_loss(transform(own[s], others[t].shape[2:]), others[t])
            for (t, s, _), transform in zip(term.pathways, term.transforms[0], strict=True)]


class Calls:
    """How often each transform, and each distance, has been run."""

    def __init__(self, term):
        self.transforms, self.distances = [0] * len(term.pathways), 0
        for k, transform in enumerate(term.transforms[0]):
            transform.register_forward_hook(lambda *_, k=k: self._count(k))
        term.distances[0] = [self._counted(distance) for distance in term.distances[0]]

    def _count(self, k):
        self.transforms[k] += 1

    def _counted(self, distance):
        def run(*args):
            self.distances += 1
            return distance(*args)

        return run


# --- values ---

@pytest.mark.parametrize('progress, expected', [(0., (1.0, 0.2, 0.5)), (0.25, (0.8, 0.3, 0.5)), (0.5, (0.6, 0.4, 0.5)),
                                                (1., (0.1, 0.9, 0.5))])
def test_value_is_the_sum_of_distances_by_the_weights_of_the_time(written, progress, expected):
    term, student, teacher = two_levels(ProcessLoss(file=written()))
    student.progress = progress
    value = sum(weight * each for weight, each in zip(expected, distances(term, student, teacher), strict=True))
    torch.testing.assert_close(term.compare(student, teacher, 0), value)


def test_a_constant_process_is_its_last_weights_and_one_of_ones_is_equal_weights(written):
    def value(**options):
        term, student, teacher = two_levels(ProcessLoss(**options))
        student.progress = 0.3
        return term.compare(student, teacher, 0)

    constant = written((WEIGHTS[2],) * 3)
    assert torch.equal(value(file=constant), value(file=constant, mode='use_last'))
    assert torch.equal(value(file=constant), value(file=written(), mode='use_last'))
    assert not torch.equal(value(file=constant), value(file=written()))
    ones = written(((1., 1., 1.),) * 3)
    assert torch.equal(value(file=ones), value()) and torch.equal(value(file=written(), mode='equal'), value())


def test_a_search_weighs_by_its_alphas(written):
    term, student, teacher = two_levels(ProcessLoss(mode='search', normalisation='softmax', scale=2.))
    assert torch.equal(term.alpha, torch.ones(3)) and 'alpha' not in dict(term.named_parameters())
    assert torch.equal(two_levels(ProcessLoss(mode='search', init=0.5))[0].alpha, torch.full((3,), 0.5))
    term.alpha.copy_(torch.tensor([0., 1., 2.]))
    weights = normalised(term.alpha, 'softmax', 2.)
    expected = sum(weight * each for weight, each in zip(weights, distances(term, student, teacher), strict=True))
    value = term.compare(student, teacher, 0)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert term.alpha.grad is None


def test_gradient_is_that_of_finite_differences(written):
    levels = [[each[:2].double() for each in maps(seed, (2, 2), (2, 1))] for seed in (0, 1)]
    term, student, teacher = two_levels(ProcessLoss(file=written()), *([x.float() for x in each] for each in levels))
    term.double().eval()
    teacher.states = dict(zip('cd', levels[1], strict=True))

    def value(a, b):
        student.states = dict(a=a, b=b)
        return term.compare(student, teacher, 0)

    assert torch.autograd.gradcheck(value, [each.requires_grad_() for each in levels[0]])


# --- what is left out ---

def test_below_the_threshold_neither_transform_nor_distance_is_run(written):
    file = written()
    term, student, teacher = two_levels(ProcessLoss(file=file, threshold=0.5))
    calls = Calls(term)
    for progress in (0., 0.5, 1.):
        student.progress = progress
        term.zero_grad()
        term.compare(student, teacher, 0).backward()
        for weight, transform in zip(term.weights(progress), term.transforms[0], strict=True):
            assert all(each.grad is not None for each in transform.parameters()), 'processes wait for each of them'
            assert any(each.grad.any() for each in transform.parameters()) is (weight >= 0.5)
    assert calls.transforms == [2, 1, 3] and calls.distances == 6
    assert term.process.kept_share(0.5) == 6 / 9


def test_what_is_kept_weighs_as_before(written):
    term, student, teacher = two_levels(ProcessLoss(file=written(), threshold=0.5))
    first, _, third = distances(term, student, teacher)
    torch.testing.assert_close(term.compare(student, teacher, 0), 1.0 * first + 0.5 * third)


def test_a_threshold_of_zero_leaves_nothing_out(written):
    file = written(((1., 0., 0.),) * 2)
    found = []
    for options in ({}, dict(threshold=0.)):
        term, student, teacher = two_levels(ProcessLoss(file=file, **options))
        calls = Calls(term)
        value = term.compare(student, teacher, 0)
        value.backward()
        assert calls.transforms == [1, 1, 1]
        found.append([value, *(each.grad for each in term.parameters())])
    assert all(map(torch.equal, *found))


def test_a_threshold_relative_to_the_largest_weight(written):
    halved = written(tuple(tuple(weight / 2 for weight in row) for row in WEIGHTS))
    assert two_levels(ProcessLoss(file=halved, threshold=0.5, relative_to_max=True))[0].cut == 0.25
    assert two_levels(ProcessLoss(file=halved, threshold=0.5))[0].cut == 0.5


def test_a_threshold_that_leaves_nothing_at_some_points_is_warned_of(written, monkeypatch):
    said = []
    monkeypatch.setattr(term_module, 'notice', lambda text, *_: said.append(text))
    file = written(((0.4, 0.4, 0.1), (0.9, 0.9, 0.9), (0.2, 0.2, 0.9)))
    term, student, teacher = two_levels(ProcessLoss(file=file, threshold=0.5))
    # The largest two rise from 0.4 to 0.9 in the first half: they are below 0.5 for a fifth of that.
    assert said == ['threshold=0.5 leaves no pathway for 10% of the training; the term is 0 there']
    value = term.compare(student, teacher, 0)
    value.backward()
    assert value == 0 and not any(each.grad.any() for each in term.parameters())


def test_a_threshold_that_leaves_nothing_between_two_points_is_warned_of(written, monkeypatch):
    said = []
    monkeypatch.setattr(term_module, 'notice', lambda text, *_: said.append(text))
    # 1 to 0.2, and back: both are below 0.8 from a quarter to three quarters of the way.
    two_levels(ProcessLoss(file=written(((1., 0.2, 0.), (0.2, 1., 0.), (0.2, 1., 0.))), threshold=0.8))
    assert said == ['threshold=0.8 leaves no pathway for 25% of the training; the term is 0 there']


def test_a_threshold_that_leaves_nothing_at_all_is_refused(written):
    with pytest.raises(ValueError, match='threshold=2.0 leaves no pathway at any time: the largest weight is 1; lower'):
        two_levels(ProcessLoss(file=written(), threshold=2.0))


# --- networks ---

def test_tokens_have_the_transform_of_transformers_and_maps_that_of_cnns():
    tokens = {'a': torch.randn(2, 5, 3), 'b': torch.randn(2, 4, 3)}  # with and without a class token
    term, student, teacher = built(ProcessLoss(), tokens, {'c': torch.randn(2, 10, 4), 'd': torch.randn(2, 6, 2, 2)})
    assert [type(each) for each in term.transforms[0]] == [TransformerTransform, TransformerTransform, CnnTransform]
    assert term.eval().compare(student, teacher, 0).isfinite()
    kinds = built(ProcessLoss(transform='cnn', rule=[(0, 0), (0, 0, 'transformer')]), tokens, tokens)[0].transforms[0]
    assert [type(each) for each in kinds] == [CnnTransform, TransformerTransform]


def test_what_the_classifier_reads_is_a_level_of_one_position():
    student, teacher = [maps()[0], torch.randn(4, 3)], [maps(1)[0], torch.randn(4, 5)]
    term, *outputs = two_levels(ProcessLoss(rule=[(1, 0), (1, 1)]), student, teacher)
    assert term.compare(*outputs, 0).isfinite()


def test_transformers_cnns_and_two_architectures_are_trained(make_distiller, written):
    for distiller in (make_distiller(losses={'process': dict(type='mmamd.ProcessLoss', layers=[1, 2])}),
                      cnn_distiller({'process': dict(type='mmamd.ProcessLoss', layers=[1, 2], file=written())}),
                      external_distiller({'process': dict(type='mmamd.ProcessLoss', layers=STAGES, file=written(),
                                                          threshold=0.3)})):
        assert all(value > 0 and math.isfinite(value) for value in steps(distiller))
        assert all(each.grad is not None for each in distiller.terms.parameters())


def test_a_process_is_replayed_by_another_pair_of_as_many_levels_and_refused_by_one_of_more(written):
    section = dict(type='mmamd.ProcessLoss', layers=[0, 1, 2], file=written())
    with pytest.raises(ValueError, match='losses.process: the process is between 2 levels of each network, got a pair '
                                         'of 3; name as many by layers'):
        cnn_distiller({'process': section})
    with pytest.raises(ValueError, match=r'losses.process: level_map must be 3 ascending numbers'):
        cnn_distiller({'process': {**section, 'level_map': [0, 1]}})
    term = cnn_distiller({'process': {**section, 'layers': [2], 'level_map': [1]}}).terms['process']
    assert term.weights(1.) == [0.5] and [each.name for each in term.pathways] == ['t0-s0']


# --- what is refused ---

@pytest.mark.parametrize('wrong, message', [
    (dict(mode='online'), "mode must be one of 'process', 'use_last', 'equal', 'search', got 'online'"),
    (dict(mode='process'), "mode='process' needs a process; name its file by file="),
    (dict(mode='search', threshold=0.5), "mode='search' finds a process, with all of its pathways"),
    (dict(level_map=[0]), r'level_map=\[0\] is of the levels of a process'),
    (dict(init=float('nan')), 'init must be a finite number >= 0, got nan; it is what the alphas of a search are at'),
    (dict(init=0., mode='search', normalisation='absolute_share'), 'init=0 has no slope with normalisation='),
    (dict(threshold=-1), 'threshold must be a finite number >= 0, got -1; 0 keeps every pathway'),
    (dict(rule=[]), 'rule leaves no pathway'), (dict(normalisation='z'), 'normalisation must be one of'),
    (dict(file='none.json'), 'there is no process none.json'), (dict(layers=1), 'layers must be')])
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ProcessLoss(**wrong)


def test_one_point_cannot_be_interpolated(written):
    file = written(WEIGHTS[:1])
    with pytest.raises(ValueError, match="process.json has one point, .*; set mode='use_last'"):
        ProcessLoss(file=file)
    assert two_levels(ProcessLoss(file=file, mode='use_last'))[0].weights(0.3) == list(WEIGHTS[0])


def test_pathways_that_are_not_those_of_the_process_are_refused(written):
    with pytest.raises(ValueError, match="rule='all' has other pathways than the process, which has t0-s0, t0-s1, t1-"):
        two_levels(ProcessLoss(file=written(), rule='all'))
    two_levels(ProcessLoss(file=written(), rule='student_ge_teacher'))


def test_maps_of_another_size_than_the_term_was_built_for_are_refused():
    term, student, teacher = two_levels(ProcessLoss())
    student.states['b'] = torch.randn(4, 4, 3, 3)
    with pytest.raises(ValueError, match=r"'b' of the student gives \(4, 3, 3\), and gave \(4, 2, 2\) when the term"):
        term.compare(student, teacher, 0)


def test_batch_norms_refuse_a_batch_of_one_image():
    one = [each[:1] for each in maps()]
    term, student, teacher = two_levels(ProcessLoss(), one, one)
    with pytest.raises(ValueError, match='on a batch of one image; take larger batches'):
        term.compare(student, teacher, 0)
    assert term.eval().compare(student, teacher, 0).isfinite()
    term, *outputs = two_levels(ProcessLoss(transform='transformer'), one, one)
    assert term.compare(*outputs, 0).isfinite()


def test_names_of_modules_that_a_network_has_not_are_refused():
    with pytest.raises(ValueError, match=r'needs layers=\[\('):
        ProcessLoss().watches(nn.Sequential(), nn.Sequential())


# --- what it costs, and what it shows ---

def test_pathways_that_a_threshold_leaves_out_cost_nothing(written):
    # From the student's levels of 3 x 4 x 4 and 4 x 2 x 2 to the teacher's of 5 x 4 x 4 and 6 x 2 x 2.
    enter, leave = (27 * 3 + 3 + 81) * 16, 9 * 3 * 5 * 16  # of t0-s0: three channels within
    whole, _, _ = two_levels(ProcessLoss(file=written()))
    assert whole.pathway_macs[0] == enter + leave
    assert whole.macs == 3 * sum(whole.pathway_macs)
    # At 0.45 t0-s0 is out after 65 % of the training (from 0.6 to 0.1 in its second half), t0-s1 before 55 % (from 0.4
    # to 0.9), and t1-s1 never.
    cut, _, _ = two_levels(ProcessLoss(file=written(), threshold=0.45))
    first, second, third = whole.pathway_macs
    assert cut.macs == pytest.approx(3 * (first * 0.65 + second * 0.45 + third), rel=0.01)


def test_transforms_count_what_torchs_profiler_counts():
    for kind in (CnnTransform, TransformerTransform):
        transform = kind(3, 5).eval()
        counted = profiled_macs(lambda transform=transform: transform(torch.zeros(1, 3, 4, 4), (2, 2)))
        assert transform.macs((4, 4), (2, 2)) == counted > 0


def test_it_shows_which_level_is_taught_by_which_at_some_times(written):
    term, student, teacher = two_levels(ProcessLoss(file=written(), threshold=0.45))
    shown, = term.pictures(student, teacher, 0)
    assert list(shown.panels) == ['at 0%', 'at 33%', 'at 67%', 'at 100%']
    assert shown.panels['at 0%'] == [[1., 0.], [None, 0.5]] and shown.panels['at 100%'] == [[0., 0.9], [None, 0.5]]
    # A third of a training lies two thirds of the way from the first point to the second.
    assert shown.panels['at 33%'][0][0] == pytest.approx(1 - 2 / 3 * 0.4)
    assert (shown.rows, shown.columns) == ("teacher's level", "student's level")
    assert term.pictures(student, teacher, 1) == [], 'once, for all teachers'
    plain, *outputs = two_levels(ProcessLoss())
    assert plain.pictures(*outputs, 0) == [], 'there is no process'


def test_a_swin_is_taught_by_levels_of_its_blocks_and_by_a_distiller():
    genome = 'in:[feature] trans:[norm_C|no|no] dist:[l2] cal:[no] weight:[10] tau:[1]'
    distiller = cnn_distiller({'process': dict(type='mmamd.ProcessLoss'),
                               'found': dict(type='mmamd.GenomeLoss', genome=genome)}, architecture=SWIN)
    whole = distiller.terms['process']
    assert len(whole.pathways) > 3 and len({tuple(b.shape) for b in whole.transforms.parameters()}) > 3
    assert all(math.isfinite(value) and value > 0 for value in steps(distiller))
    assert all(p.grad.isfinite().all() for p in distiller.network.parameters() if p.requires_grad)
