"""The update of the alphas on a distiller: its gradient is exact, and it changes the alphas alone."""

import copy

import pytest
import torch
from mmpretrain.structures import DataSample
from pairs import STAGES, cnn_distiller
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmamd.search.distpro import AlphaUpdate, next_weights

SEARCH = dict(type='mmamd.ProcessLoss', mode='search', transform='cnn', weight=0.5)
LOSSES = {'ce': dict(type='mmamd.TaskLoss'), 'process': SEARCH}


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return dict(inputs=torch.randn(4, 3, 8, 8, generator=generator),
                data_samples=[DataSample(metainfo=dict(sample_idx=i)).set_gt_label(i % 3) for i in range(4)])


@pytest.fixture
def searched(settings, make_distiller):
    """Function that builds a distiller of one student in training, its optimizer, and a batch with targets."""
    def build(losses=LOSSES, dtype=torch.float32, **overrides):
        distiller = make_distiller(losses=losses, candidates=settings['candidates'][-1:], **overrides).train().to(dtype)
        train, held_out = batch(1), batch(2)
        for each in (train, held_out):
            each['inputs'] = each['inputs'].to(dtype)
        train['targets'] = distiller.teach(train['inputs'], train['data_samples'])
        optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        return distiller, optimizer, train, held_out

    return build


def weight_step(distiller, optimizer, train):
    optimizer.zero_grad()
    distiller.parse_losses(distiller(**train, mode='loss'))[0].backward()
    optimizer.step()
    optimizer.zero_grad()


def test_gradient_is_that_of_differentiation_through_the_step(searched):
    distiller, optimizer, train, held_out = searched(dtype=torch.float64)
    weight_step(distiller, optimizer, train)  # leaves momentum
    found = AlphaUpdate(distiller, optimizer, radius=1e-5).gradient(train, held_out)

    reference = copy.deepcopy(distiller)
    reference.__dict__['teachers'] = distiller.teachers
    parameters = {name: each for name, each in distiller.named_parameters() if each.requires_grad}
    leaves = {name: each.detach().requires_grad_() for name, each in parameters.items()}
    alpha = distiller.terms['process'].alpha.clone().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # others have no second derivative
        losses = functional_call(reference, {**leaves, 'terms.process.alpha': alpha}, kwargs=dict(**train, mode='loss'))
        total = sum(value for key, value in losses.items() if 'loss' in key)
        gradients = torch.autograd.grad(total, list(leaves.values()), create_graph=True)
        moved = next_weights(optimizer, parameters, dict(zip(leaves, gradients, strict=True)))
        own = {name.removeprefix('network.'): each for name, each in moved.items() if name.startswith('network.')}
        loss = functional_call(reference.network, own, kwargs=dict(**held_out, mode='loss'))['loss']
        expected, = torch.autograd.grad(loss, alpha)
    assert expected.norm() > 0 and (found - expected).norm() < 1e-6 * expected.norm()


def test_it_changes_the_alphas_and_nothing_else(searched, network_settings):
    torch.manual_seed(0)  # of dropout, by which an alpha may have no gradient at all
    dropping = {**network_settings, 'backbone': {**network_settings['backbone'], 'drop_rate': 0.2}}
    losses = {**LOSSES, 'process': {**SEARCH, 'rule': [(0, 0), (1, 1), (1, 1, 'transformer')]}}
    distiller, optimizer, train, held_out = searched(losses, architecture=dropping)
    weight_step(distiller, optimizer, train)
    update = AlphaUpdate(distiller, optimizer, lr=0.1)
    before = {name: each.clone() for name, each in distiller.state_dict().items()}
    teacher = {name: each.clone() for name, each in distiller.teacher.state_dict().items()}
    momentum = copy.deepcopy(optimizer.state_dict()['state'])
    modes, random = [each.training for each in distiller.modules()], torch.get_rng_state()
    gradient = update.step(train, held_out)
    after = distiller.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {'terms.process.alpha'}
    # Adam's first step is its learning rate against the sign of each gradient, but for its epsilon.
    assert gradient.all()
    torch.testing.assert_close(after['terms.process.alpha'], 1 - 0.1 * gradient / (gradient.abs() + 1e-8))
    assert torch.equal(torch.get_rng_state(), random)
    assert [each.training for each in distiller.modules()] == modes
    assert all(torch.equal(each, distiller.teacher.state_dict()[name]) for name, each in teacher.items())
    assert not any(each.training for each in distiller.teacher.modules())
    assert all(each.grad is None for each in [*distiller.parameters(), *distiller.buffers()])
    for number, state in optimizer.state_dict()['state'].items():
        assert torch.equal(state['momentum_buffer'], momentum[number]['momentum_buffer'])


def test_statistics_of_a_cnns_batch_norms_stay_as_they_were():
    distiller = cnn_distiller({'ce': dict(type='mmamd.TaskLoss'), 'process': {**SEARCH, 'layers': STAGES}}, 1).train()
    train, held_out = batch(1), batch(2)
    train['targets'] = distiller.teach(train['inputs'], train['data_samples'])
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05, momentum=0.9)
    weight_step(distiller, optimizer, train)
    before = {name: each.clone() for name, each in distiller.named_buffers()}
    assert any('network' in name and 'running_mean' in name and each.any() for name, each in before.items())
    AlphaUpdate(distiller, optimizer).step(train, held_out)
    assert {name for name, each in distiller.named_buffers() if not torch.equal(each, before[name])} == {
        'terms.process.alpha'}


def test_the_weights_step_leaves_the_alphas(searched):
    distiller, optimizer, train, _ = searched()
    AlphaUpdate(distiller, optimizer)
    weight_step(distiller, optimizer, train)
    alpha = distiller.terms['process'].alpha
    assert torch.equal(alpha, torch.ones(6)) and alpha.grad is None


def test_passes_draw_what_the_step_that_follows_draws(searched, network_settings):
    dropping = {**network_settings, 'backbone': {**network_settings['backbone'], 'drop_rate': 0.5}}
    distiller, optimizer, train, held_out = searched(architecture=dropping)
    seen = []
    distiller.network.backbone.drop_after_pos.register_forward_hook(lambda _, args, out: seen.append(out == 0))
    torch.manual_seed(5)
    AlphaUpdate(distiller, optimizer).step(train, held_out)
    weight_step(distiller, optimizer, train)
    looked, after, *aside, final = seen
    assert len(aside) == 2 and 0.3 < final.float().mean() < 0.7
    assert all(torch.equal(each, final) for each in (looked, *aside))


def test_adams_state_is_handed_on(searched):
    distiller, optimizer, train, held_out = searched()
    one = AlphaUpdate(distiller, optimizer)
    one.step(train, held_out)
    state, alphas = copy.deepcopy(one.state_dict()), distiller.terms['process'].alpha.clone()
    one.step(train, held_out)
    expected = distiller.terms['process'].alpha.clone()
    distiller.terms['process'].alpha.copy_(alphas)
    other = AlphaUpdate(distiller, optimizer)
    other.load_state_dict(state)
    other.step(train, held_out)
    assert torch.equal(distiller.terms['process'].alpha, expected)


# --- what is refused ---

def test_options_that_cannot_be_are_refused(searched):
    distiller, optimizer, *_ = searched()
    for wrong, message in ((dict(unrolled=False), 'unrolled=False leaves the alphas without a gradient'),
                           (dict(lr=0.), 'lr must be a finite number above 0, got 0.0'),
                           (dict(radius=-1), 'radius must be a finite number above 0, got -1')):
        with pytest.raises(ValueError, match=message):
            AlphaUpdate(distiller, optimizer, **wrong)
    with pytest.raises(ValueError, match='a step of RMSprop cannot be looked ahead of'):
        AlphaUpdate(distiller, torch.optim.RMSprop(distiller.parameters()))


def test_alphas_in_the_optimizer_of_the_weights_are_refused(searched):
    distiller, *_ = searched()
    optimizer = torch.optim.SGD([*distiller.parameters(), distiller.terms['process'].alpha], lr=0.1)
    with pytest.raises(ValueError, match='the optimizer of the weights has the alphas of losses.process too'):
        AlphaUpdate(distiller, optimizer)


def test_a_distiller_of_another_kind_is_refused(searched, make_distiller):
    distiller, optimizer, *_ = searched({'ce': dict(type='mmamd.TaskLoss'), 'p': dict(type='mmamd.ProcessLoss')})
    with pytest.raises(ValueError, match='a search needs one term whose alphas it finds, got none; e.g. losses'):
        AlphaUpdate(distiller, optimizer)
    several = make_distiller(losses=LOSSES)
    with pytest.raises(ValueError, match='a process is searched with one student, got 3 candidates'):
        AlphaUpdate(several, torch.optim.SGD(several.parameters(), lr=0.1))
