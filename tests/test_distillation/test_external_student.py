"""A student of another architecture: no inheritance, its hidden states met through connectors.

Shapes: N samples, C channels.
"""

import pytest
import torch
from joint_step_toys import joint_loop

from mmamd.backbones.recalibration import recalibrate, statistics
from mmamd.distillation.connectors import make_connectors
from mmamd.registry import MODELS
from mmamd.structures import Candidate, CandidateFamily, Cost
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
    """Teacher, family of a student and an assistant, and batch norm statistics of the assistant."""
    folder = tmp_path_factory.mktemp('external')
    torch.manual_seed(0)
    network = MODELS.build(TEACHER)
    network.init_weights()
    torch.save(dict(state_dict=network.state_dict()), folder / 'teacher.pth')
    full = {group.name: group.count for group in network.backbone.unit_groups()}
    halves = {name: count // 2 for name, count in full.items()}
    CandidateFamily([Candidate(0.1, {name: 1 for name in full}, Cost(0, 0), 0.1),
                     Candidate(0.5, halves, Cost(0, 0), 0.5)], Cost(0, 0), {}, 'flops').save(folder / 'family.json')
    network.backbone.activate(halves)
    recalibrate(network, [torch.randn(8, 3, 8, 8)])
    torch.save({'0.50': statistics(network)}, folder / 'statistics.pth')
    return folder


@pytest.fixture
def make(files):
    """Function that builds the distiller of the last hop, with settings replaced."""
    def build(**overrides):
        return MODELS.build({**dict(
            type='mmamd.AMDDistiller', architecture=TEACHER, teacher=str(files / 'teacher.pth'),
            family=str(files / 'family.json'), teacher_scale=0.5, train_scales=[0.1], student_architecture=STUDENT,
            connect=SAME_SIZE, data_preprocessor=dict(num_classes=3, mean=[100.] * 3, std=[50.] * 3)), **overrides})
    return build


def test_connectors_lead_from_the_students_width_to_the_assistants(make):
    # The assistant keeps 8 of 16 channels of its first stage, and all 64 of its last one, which the head reads.
    connectors = make().connectors
    assert [tuple(connect.weight.shape) for connect in connectors] == [(8, 4, 1, 1), (64, 6, 1, 1)]


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
    assert any(name.startswith('connectors.') for name in before)
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
    stale, own = make(), make(teacher_statistics=str(files / 'statistics.pth'))
    saved = torch.load(files / 'statistics.pth')['0.50']
    assert all(torch.equal(statistics(own.teacher)[name], value) for name, value in saved.items())
    assert not torch.allclose(stale.teach(images)['logits'], own.teach(images)['logits'])


def test_without_a_feature_loss_there_is_nothing_to_connect(make, batch):
    distiller = make(connect=None, losses=dict(feat=0.)).train()
    assert len(distiller.connectors) == 0
    assert not [name for name in joint_loop(distiller).step(batch) if 'feat' in name]


def test_a_candidate_runs_with_the_statistics_that_were_found_for_it(make):
    distiller = make(student_architecture=None, connect=None, train_scales=None, teacher_scale=None)
    images = torch.randn(8, 3, 8, 8)
    found = {}
    for candidate in distiller.candidates:
        assert distiller.recalibrate(candidate, [images]) == 8
        found[candidate.key] = statistics(distiller.network)
    for candidate in reversed(distiller.candidates):
        distiller.activate(candidate)
        restored = statistics(distiller.network)
        assert all(torch.equal(restored[name], value) for name, value in found[candidate.key].items())


# --- connectors ---

@pytest.mark.parametrize('connect, message', [
    ([('backbone.stages', 'backbone.stages')], "names 'backbone.stages', which is not run itself; expected .*a stage "
                                               'or a block within it'),
    ([('backbone', 'backbone')], "names 'backbone', which gives a tuple; expected a module whose output is one tensor"),
    ([('backbone.stages.0', 'backbone')], "names 'backbone', which gives a tuple"),
    (SAME_SIZE[0], "must be a list of pairs, .*got 'backbone.stages.0' as one"),
    ([(*SAME_SIZE[0], 'backbone.stages.1')], 'must be a list of pairs, each the name of a module of the student'),
    ([('backbone.stages.0', 'backbone.stage.0')], "'backbone.stage.0', which the teacher does not have; .*stages.0"),
])
def test_names_that_cannot_be_connected_are_refused_with_what_is_wrong(make, connect, message):
    with pytest.raises(ValueError, match=message):
        make(connect=connect)


def test_pairs_without_a_student_of_another_architecture_are_refused(make):
    with pytest.raises(ValueError, match='there is no model.student_architecture; give it, or set model.connect=None'):
        make(student_architecture=None)


def test_building_the_connectors_leaves_both_networks_as_they_were(make, files):
    distiller = make()
    assert statistics(distiller.network)['backbone.stages.0.0.norm.running_mean'].abs().max() == 0
    teacher = torch.load(files / 'teacher.pth')['state_dict']
    assert all(torch.equal(value, teacher[key]) for key, value in distiller.teacher.state_dict().items())
    assert distiller.network.training and not distiller.teacher.training
    assert all(parameter.requires_grad for parameter in distiller.network.parameters())


def test_tokens_are_connected_by_a_linear_layer_and_maps_by_a_convolution():
    connectors = make_connectors([('a', 'b'), ('c', 'd')], [torch.zeros(1, 5, 6), torch.zeros(1, 4, 2, 3)],
                                 [torch.zeros(1, 5, 7), torch.zeros(1, 9, 2, 3)])
    assert connectors[0](torch.zeros(2, 5, 6)).shape == (2, 5, 7)
    assert connectors[1](torch.zeros(2, 4, 2, 3)).shape == (2, 9, 2, 3)


@pytest.mark.parametrize('student, teacher', [((1, 4, 2, 3), (1, 4, 3, 3)), ((1, 5, 4), (1, 6, 4)),
                                              ((1, 4, 2, 3), (1, 6, 4)), ((1, 4), (1, 4))])
def test_outputs_that_differ_in_more_than_their_channels_are_refused_by_name(student, teacher):
    with pytest.raises(ValueError, match="joins 'own' of the student.* and 'other' of the teacher.* equally large"):
        make_connectors([('own', 'other')], [torch.zeros(student)], [torch.zeros(teacher)])
