"""What a pass through a network leaves behind, and what it leaves as it was."""

import pytest
import torch
import torch.nn as nn

from mmamd.passes import frozen_eval, one_tensor, watch


@pytest.fixture
def network():
    return nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Sequential(nn.Dropout()))


def test_outputs_are_seen_by_name_and_no_hook_stays(network):
    with watch(network, ['1', '2']) as seen:
        out = network(torch.ones(1, 2))
    assert set(seen) == {'1', '2'} and seen['2'] is out
    network(torch.zeros(3, 2))
    assert seen['2'] is out
    assert not any(module._forward_hooks for module in network.modules())


def test_hooks_are_taken_off_where_the_pass_fails(network):
    with pytest.raises(RuntimeError), watch(network, ['0']):
        network(torch.ones(1, 3))
    assert not network[0]._forward_hooks


def test_what_a_module_is_given_is_seen_as_it_was(network):
    with watch(network, ['1', '1:in']) as seen:
        network(torch.tensor([[-5., 3.]]))
    given = one_tensor(seen, '1:in', 'student')
    assert torch.equal(given.relu(), seen['1']) and not torch.equal(given, seen['1'])  # the ReLU works in place
    given.sum().backward()
    assert network[0].bias.grad.tolist() == [1., 1.]
    assert not any(module._forward_pre_hooks for module in network.modules())
    with pytest.raises(ValueError, match="Sequential has no module '3'"), watch(network, ['3:in']):
        pass


def test_an_output_that_is_changed_in_place_behind_its_module_is_refused(network):
    with pytest.raises(ValueError, match="'0' of a Sequential puts out is changed in place behind it.*':in'"), \
            watch(network, ['0']):
        network(torch.ones(1, 2))
    assert not network[0]._forward_hooks
    with torch.inference_mode(), watch(network, ['1', '0:in']) as seen:  # counts no versions
        network(torch.ones(1, 2))
    assert seen.keys() == {'1', '0:in'}


def test_an_output_is_read_before_the_next_module_changes_it_and_may_add_up(network):
    nn.init.constant_(network[0].weight, -1.)
    nn.init.zeros_(network[0].bias)
    with watch(network, ['0'], lambda output, before: (before or 0) + output.sum().item()) as seen:
        network(torch.ones(1, 2))  # -2, -2, of which ReLU makes 0 in place
        network(torch.ones(1, 2))
    assert seen == {'0': -8.}


def test_a_module_that_is_not_there_is_refused_with_the_nearest(network):
    with pytest.raises(ValueError, match=r"Sequential has no module '2.1'. Did you mean 2.0"), watch(network, ['2.1']):
        pass


def test_a_module_that_did_not_run_or_gives_no_tensor_is_named():
    assert one_tensor({'a': torch.zeros(1)}, 'a', 'student').shape == (1,)
    for seen, what in (({}, 'is not run itself'), ({'a': (1,)}, 'gives a tuple')):
        with pytest.raises(ValueError, match=f"module 'a' of the student {what}; expected a module whose output"):
            one_tensor(seen, 'a', 'student')


def test_one_tensor_in_a_tuple_is_taken_and_of_several_none():
    assert one_tensor({'a': (torch.ones(2),)}, 'a', 'student').shape == (2,)
    with pytest.raises(ValueError, match='gives a tuple'):
        one_tensor({'a': (torch.ones(2), torch.ones(2))}, 'a', 'student')


def test_frozen_eval_gives_each_module_and_parameter_its_own_flag_back(network):
    network[2].eval()
    network[0].bias.requires_grad_(False)
    with frozen_eval(network):
        assert not any(m.training for m in network.modules())
        assert not any(p.requires_grad for p in network.parameters())
    assert network.training and not network[2].training
    assert [p.requires_grad for p in network.parameters()] == [True, False]
