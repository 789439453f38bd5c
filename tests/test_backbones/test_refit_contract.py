"""What every elastic backbone promises to a refit, whatever its architecture; see also pruning/test_refit.py.

Shapes: N samples, K classes.
"""

import copy

import pytest
import torch
from test_elastic_contract import CANDIDATES, EACH, assert_same_logits, images, some_units
from test_elastic_contract import candidate as candidate_of

from mmamd.export import cut_network
from mmamd.pipeline.stages.refit import steps_of
from mmamd.pruning.refit import RefitStep, refit
from mmamd.tasks import task_of

EXACT = 1e-6  # of the largest absolute logit, in double precision


@pytest.fixture(scope='module', params=EACH)
def network(request):
    """A network in double precision whose batch norms have the statistics of the images below, as its steps find them.

    So the whole network has nothing to be made good, which a refit must leave alone.
    """
    network = request.param.network().double()
    stream = batches(network)
    with torch.no_grad():
        for step in steps(network):
            if step.has_statistics:
                step.prepare(stream)
            stream = [step.run(x)[1] for x in stream]
    return network


def batches(network, num=4):
    return [images(network, 8, seed).double() for seed in range(num)]


def steps(network):
    return steps_of(network, task_of(network), True)


def running_as(network, kept):
    network = copy.deepcopy(network)
    network.backbone.activate(kept)
    return network


def logits(network, images_N):
    with torch.no_grad():
        return network(images_N, mode='tensor')


@pytest.mark.parametrize('choose', CANDIDATES, ids=[choose.__name__ for choose in CANDIDATES])
def test_the_steps_one_after_another_are_the_network(network, choose):
    small = running_as(network, choose(network.backbone.unit_groups()))
    x = images_N = batches(network)[0]
    with torch.no_grad():
        for step in steps(small):
            total, x = step.run(x)
    assert_same_logits(total, logits(small, images_N))


def test_the_whole_network_stays_itself(network):
    whole = copy.deepcopy(network)
    refit(steps(network), {'1.00': steps(whole)}, batches(network))
    expected_NK = logits(network, batches(network)[0])
    assert (logits(whole, batches(network)[0]) - expected_NK).abs().max() <= EXACT * expected_NK.abs().max()


@pytest.mark.parametrize('ridge', [1e-6, 1e-3, 1.])
def test_no_branch_misses_more_of_its_target_than_with_the_inherited_weights(network, ridge):
    small = running_as(network, some_units(network.backbone.unit_groups()))
    record = refit(steps(network), {'small': steps(small)}, batches(network), ridge=ridge)['small']
    refitted = [step.name for step in steps(small) if isinstance(step, RefitStep)]
    assert list(record.errors) == list(record.penalties) == refitted
    assert [name for name, (before, after) in record.errors.items()
            if after + record.penalties[name] > before + 1e-9] == []
    assert max(record.penalties.values()) > 0
    assert max(before - after for before, after in record.errors.values()) > 0.01  # and some of them less


def test_a_refit_network_can_be_cut_out(network):
    kept = some_units(network.backbone.unit_groups())
    small = running_as(network, kept)
    refit(steps(network), {'small': steps(small)}, batches(network))
    images_N = batches(network)[1]
    assert_same_logits(logits(cut_network(small, candidate_of(kept)), images_N), logits(small, images_N))


def test_networks_in_lockstep_are_refitted_as_each_would_be_alone(network):
    groups = network.backbone.unit_groups()
    kept = {'some': some_units(groups), 'none': CANDIDATES[1](groups)}
    together = {key: running_as(network, each) for key, each in kept.items()}
    refit(steps(network), {key: steps(each) for key, each in together.items()}, batches(network))
    for key, each in kept.items():
        alone = running_as(network, each)
        refit(steps(network), {key: steps(alone)}, batches(network))
        images_N = batches(network)[0]
        assert torch.equal(logits(alone, images_N), logits(together[key], images_N))
