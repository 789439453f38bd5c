"""The term: what it builds of its options, where its gradients go, what it leaves alone, what it refuses."""

import copy
import math

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from pairs import PREPROCESSOR, VGG, WIDE, _distiller, cnn_distiller, steps
from torch import nn

from mmamd.distillation.losses.logit import logit_loss
from mmamd.distillation.losses.scalekd import ScaleKDLoss
from mmamd.distillation.losses.scalekd.feature_mimicking import mimicking_loss
from mmamd.distillation.losses.scalekd.spectrum import alternative
from mmamd.distillation.losses.wsld import soft_cross_entropy
from mmamd.distillation.maps import as_maps
from mmamd.registry import MODELS

LAYERS = dict(student_layers=('backbone.stages.1', 'backbone.stages.4'))


def scalekd(**options):
    return {'scalekd': dict(type='mmamd.ScaleKDLoss', **options)}


def half(architecture):
    return {group.name: group.count // 2 for group in MODELS.build(architecture).backbone.unit_groups()}


def external(losses, **teacher):
    """A distiller of an untrained VGG, whose last maps have one position, by a WideResNet, whose have 2 x 2."""
    teacher = dict(architecture={**WIDE, 'data_preprocessor': PREPROCESSOR}, weights=None) | teacher
    return _distiller(architecture=VGG, teacher=teacher, start=None, losses=losses, candidates=None)


def outputs(distiller):
    """The term, and what it is given of a batch, with the graph of the student."""
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    teacher, = distiller.teach(images, [])
    return distiller.terms['scalekd'], distiller.run(images, []), teacher


def gradient(value, module):
    found = torch.autograd.grad(value, list(module.parameters()), retain_graph=True, allow_unused=True)
    return any(each is not None and each.any() for each in found)


# --- values ---

def test_values_are_those_of_the_parts_with_the_weights_of_the_release(make_distiller):
    term, student, teacher = outputs(make_distiller(losses=scalekd()))
    found = term.compare(student, teacher, 0)
    early, last = (student.maps(name) for name in ('backbone.layers.0', 'backbone.ln1'))
    target = teacher.maps('backbone.ln1')
    for name, factor, see in (('original', 0.08, lambda maps: maps), ('alternative', 0.06, alternative)):
        paths = term.paths[0][name]
        entered = paths.proxy(early)  # with a class token, the first of five
        assert entered.shape == (4, 5, 8)
        block, norm = teacher.network.backbone.layers[1], teacher.network.backbone.ln1
        proxied = as_maps(norm(block(entered)), teacher.inputs)
        queries = proxied.flatten(2).transpose(1, 2)
        projected = dict(proxy=proxied, student=paths.student(last, queries).transpose(1, 2).reshape(4, 8, 2, 2))
        for path, maps in projected.items():
            expected = factor * mimicking_loss(see(maps), see(target))
            torch.testing.assert_close(found.pop(f'loss_{path}_{name}'), expected)
    entropy = soft_cross_entropy(student.logits, teacher.logits, 1.).mean()
    torch.testing.assert_close(found.pop('loss_kd'), 0.5 * entropy)
    assert set(found) == {'alternative_distance'}


@pytest.mark.parametrize('projector', ['linear', 'cap'])
def test_two_stages_are_compared_each_with_the_teachers_own(make_distiller, projector):
    options = dict(both_stages=True, projector=projector, tpp=False, dfm=False, kd=False)
    term, student, teacher = outputs(make_distiller(losses=scalekd(**options)))
    found, paths = term.compare(student, teacher, 0), term.paths[0]['original']
    for path, of_student, of_teacher in (('early', 'backbone.layers.0', 'backbone.layers.0'),
                                         ('student', 'backbone.ln1', 'backbone.ln1')):
        projected = getattr(paths, path)(student.maps(of_student))
        maps = projected if projector == 'linear' else projected.transpose(1, 2).reshape(4, 8, 2, 2)
        expected = 0.14 * mimicking_loss(maps, teacher.maps(of_teacher))
        torch.testing.assert_close(found[f'loss_{path}_original'], expected)
    early = found['loss_early_original']
    assert gradient(early, paths.early) and not gradient(early, paths.student)


def test_logits_have_half_the_gradient_of_their_divergence(make_distiller):
    term, student, teacher = outputs(make_distiller(losses=scalekd()))
    student.logits = student.logits.detach().requires_grad_()
    own, = torch.autograd.grad(term.compare(student, teacher, 0)['loss_kd'], student.logits)
    divergence, = torch.autograd.grad(0.5 * logit_loss(student.logits, teacher.logits), student.logits)
    torch.testing.assert_close(own, divergence)


def test_positions_without_a_label_have_no_gradient_of_the_logits(make_distiller, monkeypatch):
    term, student, teacher = outputs(make_distiller(losses=scalekd()))
    student.logits = torch.randn(4, 5, 2, 2).requires_grad_()
    teacher.logits = torch.randn(4, 5, 2, 2)
    is_labelled = torch.rand(4, 2, 2) < 0.5
    monkeypatch.setattr('mmamd.distillation.losses.scalekd.term.labelled', lambda _: is_labelled)
    gradient, = torch.autograd.grad(term.compare(student, teacher, 0)['loss_kd'], student.logits)
    assert torch.equal((gradient != 0).any(dim=1), is_labelled)


@pytest.mark.parametrize('options, factors, kd, over', [
    (dict(), (0.08, 0.06), 0.5, 'sum'), (dict(preset='paper'), (0.6, 0.4), 1., 'mean'),
    (dict(preset='paper', alpha=2., beta=0.5, kd_weight=0.), (1., 1.), 0., 'mean'),
    (dict(kd=False, dfm=False), (0.14,), 0., 'sum')])
def test_presets_and_what_replaces_their_weights(options, factors, kd, over):
    term = ScaleKDLoss(**options)
    assert [view.factor for view in term.views.values()] == pytest.approx(list(factors))
    assert (term.kd_weight, term.over_positions) == (kd, over)


# --- the switches ---

@pytest.mark.parametrize('options, modules, values', [
    (dict(tpp=False, dfm=False, kd=False), {'original.student'}, {'student_original'}),
    (dict(tpp=False, kd=False), {'original.student', 'alternative.student'},
     {'student_original', 'student_alternative'}),
    (dict(dfm=False, kd=False), {'original.student', 'original.proxy'}, {'student_original', 'proxy_original'}),
    (dict(beta=1.), {'original.student', 'original.proxy'}, {'student_original', 'proxy_original', 'kd'}),
    (dict(tpp=False, dfm=False, dual_path=True), {'original.student', 'second.student'},
     {'student_original', 'student_second', 'kd'}),
    (dict(tpp=False, dfm=False, kd=False, projector='linear'), {'original.student'}, {'student_original'}),
    (dict(tpp=False, first_view='dir', projector='conv'), {'original.student', 'alternative.student'},
     {'student_original', 'student_alternative', 'kd'}),
    (dict(tpp=False, dfm=False, kd=False, projector='linear', both_stages=True),
     {'original.student', 'original.early'}, {'student_original', 'early_original'}),
    (dict(tpp=False, both_stages=True),
     {'original.student', 'original.early', 'alternative.student', 'alternative.early'},
     {'student_original', 'early_original', 'student_alternative', 'early_alternative', 'kd'})])
def test_parts_that_are_off_build_nothing(make_distiller, options, modules, values):
    term, student, teacher = outputs(make_distiller(losses=scalekd(**options)))
    names = [name.split('.') for name, _ in term.named_parameters()]
    assert {f'{view}.{path}' for _, _, view, path, *_ in names} == modules
    assert any('attention' in name for name in names) == (options.get('projector', 'cap') == 'cap')
    found = term.compare(student, teacher, 0)
    assert set(found) == {'alternative_distance', *(f'loss_{value}' for value in values)}
    assert all(value.isfinite() for value in found.values())
    reads_both = options.get('tpp', True) or options.get('both_stages', False)
    assert len(term.pairs[0]) == 1 + reads_both, 'an early stage that is not read is not watched'


@pytest.mark.parametrize('adaptive', [True, False])
def test_the_students_path_has_queries_of_its_own_where_none_come_from_the_proxy_path(make_distiller, adaptive):
    term, *given = outputs(make_distiller(losses=scalekd(adaptive_queries=adaptive)))
    learnt = [name.split('.', 3)[2:] for name, _ in term.named_parameters() if name.endswith('.queries')]
    own = {'alternative': 4, 'original': 4}  # of the positions alone, while five tokens enter the teacher's last stage
    assert len(learnt) == (2 if adaptive else 4)
    for view, num in own.items():
        paths = term.paths[0][view]
        assert len(paths.proxy.queries) == 5 and (adaptive or len(paths.student.queries) == num)


# --- gradients ---

def test_gradients_reach_the_early_stages_through_the_teacher_which_stays_as_it_is():
    distiller = external(scalekd(**LAYERS)).train()
    before = copy.deepcopy(distiller.teacher.state_dict())
    term, student, teacher = outputs(distiller)
    found, (early, last) = term.compare(student, teacher, 0), (distiller.network.backbone.stages[i] for i in (0, 4))
    for view in ('original', 'alternative'):
        proxied, own = (found[f'loss_{path}_{view}'] for path in ('proxy', 'student'))
        assert gradient(proxied, early) and not gradient(proxied, last) and gradient(own, last)
        assert gradient(proxied, term.paths[0][view].proxy) and gradient(own, term.paths[0][view].proxy)
        assert not gradient(proxied, term.paths[0][view].student)
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.1)
    sum(found.values()).backward()
    optimizer.step()
    assert all(p.grad is None and not p.requires_grad for p in distiller.teacher.parameters())
    after = distiller.teacher.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_queries_that_are_detached_train_nothing_before_them():
    term, student, teacher = outputs(external(scalekd(detach_queries=True, **LAYERS)))
    found = term.compare(student, teacher, 0)
    assert not gradient(found['loss_student_original'], term.paths[0]['original'].proxy)
    assert gradient(found['loss_proxy_original'], term.paths[0]['original'].proxy)


def test_the_teacher_stays_in_eval_mode_whatever_drops_paths(make_distiller, network_settings):
    backbone = dict(network_settings['backbone'], drop_path_rate=0.3)
    distiller = make_distiller(architecture=dict(network_settings, backbone=backbone), losses=scalekd()).train()
    assert not any(module.training for module in distiller.teacher.modules())
    term, student, teacher = outputs(distiller)
    _, _, again = outputs(distiller)
    assert all(torch.equal(value, again.states[name]) for name, value in teacher.states.items())
    assert term.compare(student, teacher, 0)['loss_proxy_original'] == term.compare(student, again, 0)[
        'loss_proxy_original']


# --- networks ---

def test_candidates_of_a_cnn_and_two_architectures_are_trained():
    assistant = external(scalekd(**LAYERS), scale=0.5, kept=half(WIDE))
    assert assistant.terms['scalekd'].paths[0]['original'].proxy.queries.shape == (16, 16), '16 of 32 channels on 4 x 4'
    for distiller in (cnn_distiller(scalekd()), external(scalekd(**LAYERS)), assistant):
        values = steps(distiller)
        assert all(value > 0 and math.isfinite(value) for value in values)
        assert all(p.grad is not None and p.grad.isfinite().all() for p in distiller.terms.parameters())


@pytest.mark.parametrize('projector', ['linear', 'cap'])
def test_two_stages_of_narrower_candidates_are_projected_from_their_leading_channels(projector):
    distiller = cnn_distiller(scalekd(both_stages=True, projector=projector, tpp=False))
    assert all(value > 0 and math.isfinite(value) for value in steps(distiller))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in distiller.terms.parameters())


def test_looking_what_is_trained_leaves_batch_norms_of_the_term_as_they_were():
    norms = [module for module in external(scalekd(**LAYERS)).terms.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 4 and all(norm.training and norm.num_batches_tracked == 0 for norm in norms)


def test_mixed_labels_and_half_precision_give_finite_values(make_distiller):
    mixup = dict(augments=dict(type='Mixup', alpha=1.))
    losses = {'ce': dict(type='mmamd.TaskLoss', weight=0.5), **scalekd()}
    distiller = make_distiller(losses=losses, data_preprocessor=PREPROCESSOR | dict(batch_augments=mixup)).train()
    samples = [DataSample().set_gt_label(label) for label in (0, 2)]
    data = distiller.data_preprocessor(dict(inputs=list(torch.zeros(2, 3, 8, 8)), data_samples=samples), training=True)
    assert all('gt_score' in sample for sample in data['data_samples'])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = distiller(**data, targets=distiller.teach(data['inputs'], data['data_samples']), mode='loss')
    losses = [value for key, value in found.items() if 'loss' in key]
    assert len(losses) == 6 and all(value.isfinite() for value in losses)
    sum(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in distiller.parameters())


def test_the_student_is_exported_without_what_taught_it(make_distiller, network_settings):
    distiller = make_distiller(losses=scalekd(), candidates=None)
    plain = dict(network_settings, backbone=dict(network_settings['backbone'], type='VisionTransformer'))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        alone = MODELS.build(plain).eval()
    steps(distiller)
    alone.load_state_dict(distiller.network.state_dict(), strict=True)
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(alone(images), distiller.eval().network(images))


# --- what is refused ---

@pytest.mark.parametrize('wrong, message', [
    (dict(projector='mlp'), "projector must be one of 'cap', 'linear', 'conv', got 'mlp'"),
    (dict(first_view='alt'), "first_view must be one of 'all', 'dir', got 'alt'"),
    (dict(preset='mine'), "preset must be one of 'released', 'paper', got 'mine'"),
    (dict(dual_path=True), 'dual_path=True has a second view in place of that of dfm, got both; set dfm=False'),
    (dict(both_stages=True), 'both_stages=True compares the last stage but one, which tpp .* instead; set tpp=False'),
    (dict(projector='linear'), "tpp needs the cross attention projector, got projector='linear'; set tpp=False"),
    (dict(beta=1.5), r"beta must lie in \[0, 1\], got 1.5; it is the first view's share"),
    (dict(beta=-0.1), 'beta must be a finite number >= 0, got -0.1'), (dict(alpha=0.), 'alpha must be positive, got 0'),
    (dict(kd_weight=math.nan), 'kd_weight must be a finite number >= 0, got nan'),
    (dict(temperature=0.), 'temperature must be a positive finite number'),
    (dict(softmax_scale=5.), 'softmax_scale must be two numbers > 0, of the proxy path and of the student.*; got 5.0'),
    (dict(softmax_scale=(5.,)), r'softmax_scale must be two numbers > 0, .*; got \(5.0,\)'),
    (dict(softmax_scale=(5., 0.)), r'softmax_scale must be two numbers > 0, .*; got \(5.0, 0.0\)'),
    (dict(heads=(0, 1)), r'heads must be two numbers >= 1, .*; got \(0, 1\)'),
    (dict(windows=(1, 1.5)), r'windows must be two numbers >= 1, .*; got \(1, 1.5\)'),
    (dict(student_layers=['backbone.layers.1']), "student_layers must be the names of two modules, .*; got"),
    (dict(student_layers=['backbone', 'backbone']), "student_layers must be the names of two modules, .*; got")])
def test_options_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ScaleKDLoss(**wrong)


@pytest.mark.parametrize('options, message', [
    (dict(), r"losses.scalekd: a student over a CifarVGG needs student_layers=\('<its last stage but one>'"),
    (dict(student_layers=('backbone.stages.1', 'backbone.stages.5')), "has no module 'backbone.stages.5'"),
    (dict(heads=(1, 3), **LAYERS), "losses.scalekd: 3 heads do not divide the teacher's 64 channels"),
    (dict(windows=(1, 2), **LAYERS), r"windows=2 .* got the student's of \(1, 1\) and the teacher's of \(2, 2\)"),
    (dict(tpp=False, projector='linear', **LAYERS), r"cannot compare 'backbone.stages.4' of the student, whose maps "
                                                    r'are \(1, 1\), with .* are \(2, 2\): projector=.linear. av')])
def test_networks_that_do_not_match_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        external(scalekd(**options))


def test_teachers_that_cannot_teach_it_are_refused(make_distiller, network_settings):
    def teacher(**backbone):
        return dict(architecture=dict(network_settings, data_preprocessor=PREPROCESSOR, backbone=dict(
            network_settings['backbone'], **backbone)), weights=None)

    with pytest.raises(ValueError, match="losses.scalekd: the teacher's VisionTransformer cannot run its last stage by "
                                         'itself; use an elastic backbone'):
        make_distiller(losses=scalekd(), start=None, teacher=teacher(type='VisionTransformer'))
    with pytest.raises(ValueError, match="losses.scalekd: 'backbone.layers.0' of the teacher: a state of shape .* "
                                         'cannot be made maps'):
        make_distiller(losses=scalekd(), start=None, teacher=teacher(patch_size=(1, 2)))
    with pytest.raises(ValueError, match="the maps of 'backbone.ln1' of the teacher have one position.* set dfm=False"):
        make_distiller(losses=scalekd(), start=None, teacher=teacher(patch_size=8))
    many = teacher()
    many['architecture']['head'] = dict(network_settings['head'], num_classes=4)
    with pytest.raises(ValueError, match=r'the student has logits \(3,\) and the teacher \(4,\).* or set kd=False'):
        make_distiller(losses=scalekd(), start=None, teacher=many)
    make_distiller(losses=scalekd(kd=False), start=None, teacher=many)
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        make_distiller(losses=scalekd(), teacher='nowhere.pth')


def test_networks_without_a_backbone_are_no_teachers():
    with pytest.raises(ValueError, match="the teacher's Sequential cannot run its last stage by itself"):
        ScaleKDLoss().watches(nn.Sequential(), nn.Sequential())
