"""A student of another architecture: no inheritance, its hidden states met through connectors.

Shapes: N samples, C channels.
"""

from dataclasses import asdict

import pytest
import torch
from joint_step_toys import joint_loop, terms

from mmamd.backbones.recalibration import recalibrate, statistics
from mmamd.distillation.connectors import aligned
from mmamd.registry import MODELS
from mmamd.structures import Candidate, Cost
from mmamd.weights.checkpoint import read_weights


def classifier(backbone, width):
    return dict(type='mmpretrain.ImageClassifier', backbone=backbone,
                neck=dict(type='mmpretrain.GlobalAveragePooling'),
                head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=width))


TEACHER = classifier(dict(type='mmamd.MaskedWideResNet', depth=10, img_size=8), 64)
STUDENT = classifier(dict(type='mmamd.CifarVGG', depth=8, widths=(4, 5, 6, 7, 8)), 8)
SAME_SIZE = [('backbone.stages.0', 'backbone.stages.0'), ('backbone.stages.2', 'backbone.stages.2')]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Teacher, and batch norm statistics of the assistant, half of it."""
    folder = tmp_path_factory.mktemp('external')
    torch.manual_seed(0)
    network = MODELS.build(TEACHER)
    network.init_weights()
    torch.save(dict(state_dict=network.state_dict()), folder / 'teacher.pth')
    network.backbone.activate(halves(network))
    recalibrate(network, [torch.randn(8, 3, 8, 8)])
    torch.save({'0.50': statistics(network)}, folder / 'statistics.pth')
    return folder


def halves(network):
    return {group.name: group.count // 2 for group in network.backbone.unit_groups()}


@pytest.fixture
def make(files):
    """Function that builds the distiller of the last hop, with settings replaced, ``layers`` those of its feature loss;
    ``assistant`` replaces fields of the teacher's network."""
    def build(layers=SAME_SIZE, assistant=None, **overrides):
        preprocessor = dict(num_classes=3, mean=[100.] * 3, std=[50.] * 3)
        teacher = dict(architecture={**TEACHER, 'data_preprocessor': preprocessor}, weights=str(files / 'teacher.pth'),
                       scale=0.5, kept=halves(MODELS.build(TEACHER)), **(assistant or {}))
        return MODELS.build({**dict(
            type='mmamd.AMDDistiller', architecture=STUDENT, teacher=teacher, start=None,
            candidates=[asdict(Candidate(0.1, None, Cost(1, 1), 0.))], data_preprocessor=preprocessor,
            losses=terms(dict(feat=dict(layers=layers)), ce=1, logit=1, feat=1)), **overrides})
    return build


def test_connectors_lead_from_the_students_width_to_the_assistants(make):
    # The assistant keeps 8 of 16 channels of its first stage, and all 64 of its last one, which the head reads.
    connectors, = make().terms['feat'].connectors
    assert [tuple(connect.weight.shape) for connect in connectors] == [(8, 4), (64, 6)]


def test_all_of_the_student_and_its_connectors_train_and_the_teacher_does_not(make, batch):
    distiller = make().train()
    loop = joint_loop(distiller)
    before = {name: value.clone() for name, value in distiller.named_parameters()}
    teachers = {name: value.clone() for name, value in distiller.teacher.state_dict().items()}
    logged = loop.step(batch)
    assert {'0.10.loss_ce', '0.10.loss_logit', '0.10.loss_feat', 'loss'} <= set(logged)
    same = [name for name, value in distiller.named_parameters() if torch.equal(value, before[name])]
    # A bias before a batch norm has no effect, so no gradient worth a step.
    assert all(name.endswith('conv.bias') for name in same)
    assert any(name.startswith('terms.feat.connectors.') for name in before)
    assert all(torch.equal(value, teachers[name]) for name, value in distiller.teacher.state_dict().items())


def test_nothing_is_inherited_and_the_draw_follows_the_seed(make, files):
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        distiller = make()
        distiller.init_weights()  # as Runner.train() does
        states.append(distiller.state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert not torch.equal(states[0]['network.backbone.stages.0.0.conv.weight'],
                           states[2]['network.backbone.stages.0.0.conv.weight'])
    assert states[0]['network.backbone.stages.0.0.conv.bias'].abs().max() == 0, 'the host initialises it'


def test_weights_of_a_checkpoint_are_the_students_alone(make, tmp_path):
    distiller = make()
    torch.save(dict(state_dict=distiller.state_dict()), tmp_path / 'epoch_1.pth')
    assert set(read_weights(str(tmp_path / 'epoch_1.pth'))) == set(distiller.network.state_dict())


def test_the_assistant_runs_with_statistics_of_its_own(make, files):
    images = torch.randn(4, 3, 8, 8)
    stale, own = make(), make(assistant=dict(statistics=str(files / 'statistics.pth')))
    saved = torch.load(files / 'statistics.pth')['0.50']
    assert all(torch.equal(statistics(own.teacher)[name], value) for name, value in saved.items())
    assert not torch.allclose(stale.teach(images, [])[0].logits, own.teach(images, [])[0].logits)


def test_without_a_feature_loss_there_is_nothing_to_connect(make, batch):
    distiller = make(losses=terms(ce=1, logit=1, feat=0)).train()
    assert not [name for name, _ in distiller.named_parameters() if name.startswith('terms.')]
    assert not [name for name in joint_loop(distiller).step(batch) if 'feat' in name]


# --- connectors ---

@pytest.mark.parametrize('layers, message', [
    ([('backbone.stages', 'backbone.stages')], "module 'backbone.stages' of the student is not run itself; expected "
                                               '.*a stage or a block within it'),
    # A backbone puts out the one map of its last stage, which is smaller.
    ([('backbone.stages.0', 'backbone')], "cannot compare 'backbone.stages.0' of the student, .* with 'backbone' of "
                                          'the teacher'),
    (SAME_SIZE[0], "must be numbers, or pairs, .*got 'backbone.stages.0' as one"),
    ([(*SAME_SIZE[0], 'backbone.stages.1')], 'must be numbers, or pairs, each the name of a module of the student'),
    ([('backbone.stages.0', 'backbone.stage.0')], "of the teacher: ImageClassifier has no module 'backbone.stage.0'. "
                                                  'Did you mean .*stages.0'),
    ('auto', "losses.feat: a student of another architecture needs layers=.*Or give the term weight 0"),
])
def test_names_that_cannot_be_connected_are_refused_with_what_is_wrong(make, layers, message):
    with pytest.raises(ValueError, match=message):
        make(layers)


def test_building_the_connectors_leaves_both_networks_as_they_were(make, files):
    distiller = make()
    assert statistics(distiller.network)['backbone.stages.0.0.norm.running_mean'].abs().max() == 0
    teacher = torch.load(files / 'teacher.pth')['state_dict']
    assert all(torch.equal(value, teacher[key]) for key, value in distiller.teacher.state_dict().items())
    assert distiller.network.training and not distiller.teacher.training
    assert all(parameter.requires_grad for parameter in distiller.network.parameters())


def test_tokens_and_maps_are_connected_by_a_linear_map_of_their_channels():
    tokens, maps = (torch.randn(2, 5, 6), torch.randn(2, 5, 7)), (torch.randn(2, 4, 2, 3), torch.randn(2, 9, 2, 3))
    for own, other in (tokens, maps):
        connect = aligned(('own', 'other'), own[:1], other[:1], is_same=False)
        moved, same = connect(own, other)
        assert moved.shape == other.shape and same is other
    weight, bias = connect.weight.detach(), connect.bias.detach()
    expected = torch.einsum('oc,nchw->nohw', weight, maps[0]) + bias[:, None, None]
    torch.testing.assert_close(moved.detach(), expected)
    # A candidate with fewer channels uses the leading part of the map.
    narrow, _ = connect(maps[0][:, :3], maps[1])
    torch.testing.assert_close(narrow.detach(), torch.einsum('oc,nchw->nohw', weight[:, :3], maps[0][:, :3])
                               + bias[:, None, None])


def test_equal_shapes_of_another_architecture_are_connected_and_of_the_same_are_not():
    state = torch.zeros(1, 4, 2, 2)
    assert list(aligned(('a', 'b'), state, state, is_same=False).parameters())
    assert not list(aligned(('a', 'b'), state, state, is_same=True).parameters())


def test_maps_of_a_narrower_candidate_meet_the_teachers_first_channels():
    teacher = torch.arange(24.).reshape(1, 6, 2, 2)
    own, others = aligned(('a', 'b'), teacher[:, :4], teacher, is_same=True)(teacher[:, :4], teacher)
    assert torch.equal(own, others)


@pytest.mark.parametrize('student, teacher', [((1, 4, 2, 3), (1, 4, 3, 3)), ((1, 5, 4), (1, 6, 4)),
                                              ((1, 4, 2, 3), (1, 6, 4)), ((1, 4), (1, 4))])
def test_outputs_that_differ_in_more_than_their_channels_are_refused_by_name(student, teacher):
    with pytest.raises(ValueError, match="compare 'own' of the student.* with 'other' of the teacher.* equally large"):
        aligned(('own', 'other'), torch.zeros(student), torch.zeros(teacher), is_same=False)
