"""Every benchmark measures what it says, on a network small enough for a test; times are not looked at."""

import copy

import candidate_cost
import communication
import exported_student
import host_overhead
import joint_step
import networks
import numpy as np
import peers
import pytest
import run
import scaling
import scoring
import torch
import whole_method
from benchmark_scripts import BENCHMARKS
from steps import Steps

from mmamd.pruning.complexity import network_cost

EVERY_TENTH = [0.1, 0.5, 0.9]


@pytest.fixture
def small_families(monkeypatch):
    """Families of a network too small for nine candidates."""
    monkeypatch.setattr(networks, 'NINE', (0.2, 0.5, 0.9))
    monkeypatch.setattr(networks.random_family, '__defaults__', ((0.2, 0.5, 0.9),))
    monkeypatch.setattr(networks.distiller, '__defaults__', ((0.2, 0.5, 0.9), 'cpu'))


def test_run_knows_every_benchmark():
    scripts = {path.stem for path in BENCHMARKS.glob('*.py') if 'rows' in path.read_text() and 'report(' in
               path.read_text()}
    assert scripts - {'side_by_side', 'run'} == set(run.SCRIPTS)


def test_candidates_have_their_share_as_target(tiny, options, monkeypatch):
    monkeypatch.setattr(candidate_cost, 'SCALES', (0.2, 0.5, 0.9))
    rows = list(candidate_cost.rows_of(tiny, options))
    # No candidate exceeds its scale, and a ViT has a margin of 0.10.
    assert [row.target <= scale + 0.10 for row, scale in zip(rows, (0.2, 0.5, 0.9), strict=True)] == [True] * 3
    assert all(row.ratio > 0 for row in rows)


def test_an_elastic_network_takes_the_memory_of_its_host(tiny, options):
    rows = list(host_overhead.rows_of(tiny, options))
    assert [row.unit for row in rows] == ['s', 's', 'bytes']
    assert rows[2].ratio == pytest.approx(1., abs=0.1)


def test_exported_student_is_compared_with_a_dense_network_of_nearly_its_macs(tiny, options, monkeypatch):
    monkeypatch.setattr(exported_student, 'SCALE', 0.2)
    rows = list(exported_student.rows_of(tiny, options))
    assert len(rows) == 5
    assert next(row for row in rows if row.unit == 'MACs').ratio == pytest.approx(1., abs=0.5)


def test_dense_network_is_the_nearest_of_its_widths(tiny):
    goal = network_cost(networks.build(tiny)).macs
    found = networks.dense_config(tiny, goal)
    assert found['backbone']['arch'] == tiny['backbone']['arch']


def test_joint_step_is_measured_against_the_networks_alone(tiny, options, small_families):
    time, memory = joint_step.rows_of(tiny, options)
    assert time.pairs == 5 and memory.unit == 'bytes'
    assert memory.ratio >= 1.


def test_scoring_is_measured_against_training_and_torch_pruning(tiny, options):
    assert len(list(scoring.rows_of(tiny, options))) == 2


def test_communication_is_that_of_a_plain_step(options, monkeypatch):
    # One process and no network: what is reduced is counted from the buckets' own buffers.
    monkeypatch.setattr(communication.torch.multiprocessing, 'spawn',
                        lambda _function, args, nprocs: args[-1].put({1: 400, 3: 400, 9: 400, 'plain': 400}))
    assert [row.ratio for row in communication.rows_of('ViT-micro', options)] == [1.] * 3


def test_whole_method_in_macs_is_the_sum_over_its_stages():
    options = type('Options', (), dict(joint_epochs=3, student_epochs=8))
    candidates = [type('C', (), dict(key=key, scale=float(key))) for key in ('0.10', '0.50', '0.90')]
    # Units of the teacher's forward pass: by hand, with 45,000 training, 5,000 held-out and 2,048 scored images.
    an_image = {'score': 3., 'select': 3.5, 'student': 0.8, 'kd': 1.3, '0.10 0.50 0.90': 5.5,
                '0.10 0.50': 2.8, '0.10 0.90': 4.0, '0.10': 1.3, '0.50': 2.5, '0.90': 3.7}
    found = whole_method.whole(an_image, 1000., candidates, options)
    assert found['kd'] == 3 * 2048 + 8 * 45000 * 1.3
    assert found[whole_method.REFIT] == pytest.approx(3 * 2048 + 5000 * 3.5 + 8 * 45000 * 0.8 + 1000)
    assert found['random'] == pytest.approx(3 * 2048 + 5000 * 3.5 + 8 * 45000 * 0.8 + 3 * 45000 * 2.5)
    assert found['smallest_random'] == pytest.approx(3 * 2048 + 5000 * 3.5 + 8 * 45000 * 0.8 + 3 * 45000 * 3.4)
    assert found['all'] == pytest.approx(3 * 2048 + 5000 * 3.5 + 8 * 45000 * 0.8 + 3 * 45000 * 5.5)
    # 1 / scale: 10, 2 and 10 / 9; (10 x 1.3 + 2 x 2.5 + 10 / 9 x 3.7) / (13 + 1 / 9) = 199 / 118.
    assert found['falling'] == pytest.approx(3 * 2048 + 5000 * 3.5 + 8 * 45000 * 0.8 + 3 * 45000 * 199 / 118)
    # A third of the stage 3.7, a third (2.5 + 3.7) / 2, a third 2.5.
    assert found['progressive'] == pytest.approx(3 * 2048 + 5000 * 3.5 + 8 * 45000 * 0.8 + 3 * 45000 * 3.1)


def test_refits_cost_the_passes_and_the_products_of_an_image(tiny, options):
    steps = Steps(tiny, (0.2, 0.5, 0.9), options)
    passes = steps.teacher_macs + sum(candidate.cost.macs for candidate in steps.candidates[:2])
    one, other = (steps.refit_macs([candidate]) - steps.teacher_macs - candidate.cost.macs
                  for candidate in steps.candidates[:2])
    assert 0 < one < other
    assert steps.refit_macs(steps.candidates[:2]) == passes + one + other
    before = copy.deepcopy(steps.distiller.teacher.state_dict())
    steps.refit(steps.candidates, steps.refit_batches(64))
    assert all(torch.equal(value, before[key]) for key, value in steps.distiller.teacher.state_dict().items())


def test_steps_are_those_of_the_method(tiny, options):
    steps = Steps(tiny, (0.2, 0.5, 0.9), options)
    passes = []
    steps.distiller.teacher.register_forward_hook(lambda *_: passes.append('teacher'))
    steps.network.register_forward_hook(lambda *_: passes.append(steps.distiller.active.key if steps.distiller.active
                                                                  else 'full'))
    steps.joint(steps.candidates)
    assert passes == ['teacher', '0.90', '0.50', '0.20']
    passes.clear()
    steps.distil(steps.candidates[1])
    assert passes == ['teacher', '0.20']
    passes.clear()
    steps.evaluate()
    assert passes == ['teacher', 'full', '0.20', '0.50', '0.90']


def test_images_on_files_are_read_by_the_recipes_pipeline(tmp_path):
    sample = scaling.png_images(tmp_path)[0]
    assert tuple(sample['inputs'].shape) == (3, 32, 32)
    assert np.isfinite(sample['inputs'].numpy()).all()


# --- what a user would pick instead ---

def test_torch_pruning_scores_the_units_that_we_score(tiny):
    model = peers.as_timm(networks.build(tiny).eval())
    sizes = [{dep.target.name.split(' ')[0]: len(indices) for dep, indices in group}
             for group in peers.taylor_groups(model, torch.zeros(1, 3, 8, 8))]
    # 4 heads of 8 channels, in queries, keys and values; 128 neurons.
    assert [sizes[0][name] for name in ('blocks.0.attn.proj', 'blocks.0.attn.qkv')] == [32, 3 * 32]
    assert [sizes[1][name] for name in ('blocks.0.mlp.fc2', 'blocks.0.mlp.fc1')] == [128, 128]


def test_what_torch_pruning_leaves_computes_the_same_function_in_the_pipelines_network(tiny, monkeypatch):
    torch.manual_seed(0)
    teacher = networks.build(tiny).eval()
    for parameter in teacher.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    images, labels = torch.randn(128, 3, 8, 8), torch.arange(128) % 3
    made = {}
    original = peers._as_elastic

    def as_elastic(model, config):
        config, network = original(model, config)
        made[network] = model
        return config, network

    monkeypatch.setattr(peers, '_as_elastic', as_elastic)
    whole = network_cost(teacher).macs
    config, network = peers.torch_pruned(teacher, tiny, images, labels, 0.5 * whole)
    assert network_cost(network).macs <= 0.5 * whole
    assert min(config['backbone']['heads'] + config['backbone']['neurons']) >= 1
    assert sum(config['backbone']['heads']) < 8
    with torch.no_grad():
        logits, timms = network.eval()(images, mode='tensor'), made[network](images)
    assert torch.allclose(logits, timms, atol=1e-4 * logits.abs().max())


def test_torch_pruning_leaves_each_block_its_best_head_however_few_are_left(tiny):
    torch.manual_seed(0)
    teacher = networks.build(tiny).eval()
    with torch.no_grad():
        teacher.backbone.layers[1].attn.proj.weight.mul_(1e-3)  # all heads of the last block count for little
        teacher.backbone.layers[1].attn.proj.weight[:, 16:24].mul_(10)
    images, labels = torch.randn(64, 3, 8, 8), torch.arange(64) % 3
    least = network_cost(teacher).macs * 0.2
    config, network = peers.torch_pruned(teacher, tiny, images, labels, least)
    assert config['backbone']['heads'] == [1, 1] and network_cost(network).macs <= least
    best = peers.as_timm(teacher).blocks[1].attn.qkv.weight[16:24]
    assert torch.equal(peers.as_timm(network).blocks[1].attn.qkv.weight[:8], best)
    with pytest.raises(ValueError, match='Torch-Pruning makes no network of at most 1,000 MACs'):
        peers.torch_pruned(teacher, tiny, images, labels, 1000)


def test_states_that_a_peer_is_compared_at_are_those_of_the_recipe(tiny):
    assert peers.connections(tiny) == [(name, name) for name in (
        'backbone.pre_norm', 'backbone.layers.0', 'backbone.layers.1')]
