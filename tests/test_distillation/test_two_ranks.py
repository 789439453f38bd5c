"""Two processes, each with half of a batch, against one process with all of it."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import torch
import torch.distributed
import torch.multiprocessing
import toy_terms  # noqa: F401  registers the toys, in each process
from joint_step_toys import (
    assert_same_gradients,
    gradients_at_each_step,
    joint_loop,
    raw_batch,
    teachers_for,
    terms,
)
from mmengine.registry import MODEL_WRAPPERS
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from mmamd import compat
from mmamd.distillation import Loss, SandwichSparsityHook
from mmamd.distillation.losses.distpro import Process
from mmamd.distillation.losses.distpro.pathways import lay_pathways
from mmamd.registry import MODELS
from mmamd.search.distpro import AlphaUpdate

NUM_CANDIDATES = (1, 3)  # the smallest alone, which has no heads in one block; and all
CONNECTOR = {'ce': dict(type='mmamd.TaskLoss'), 'toy': dict(type='mmamd.ToyConnectorLoss', weight=0.5)}
SEARCH = {'ce': dict(type='mmamd.TaskLoss'), 'process': dict(type='mmamd.ProcessLoss', mode='search')}
PATHWAYS = lay_pathways('student_ge_teacher', 2)
ROWS = ((1., 0.2, 1.), (1., 1., 0.2))
# Of these a loss is the mean over images; a batch norm has the statistics of its rank, so here it has learnt ones.
PROCESS = dict(type='mmamd.ProcessLoss', transform='cnn', layers=[1, 2])
MEANS = {'ScaleKD': dict(type='mmamd.ScaleKDLoss'), 'equal': PROCESS, 'replayed': dict(PROCESS, threshold=0.5)}
NUM_STEPS = 3  # DistributedDataParallel lays its buckets anew after the first


def registered_terms():
    return sorted(name for name, cls in MODELS.module_dict.items() if isinstance(cls, type) and issubclass(cls, Loss)
                  and cls.__module__.startswith('mmamd.'))


def train_on_half_the_batch(rank, folder, settings):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2,
                                         timeout=timedelta(minutes=2))
    np.random.seed(rank)
    torch.manual_seed(rank)
    half = slice(0, 2) if rank == 0 else slice(2, 4)
    results = {number: joint_steps(settings, half, number) for number in NUM_CANDIDATES}
    for name in registered_terms():
        candidates = settings['candidates'] if MODELS.get(f'mmamd.{name}').joint else settings['candidates'][-1:]
        one = {**settings, 'losses': {'term': dict(type=f'mmamd.{name}')}, 'candidates': candidates,
               'teacher': teachers_for(name, settings)}
        results[name] = joint_steps(one, half, len(candidates))
    results['connector'] = joint_steps({**settings, 'losses': CONNECTOR}, half, 3)
    results['no head'] = joint_steps({**settings, 'losses': terms(feat=1)}, half, 2)
    results['means'] = means_over_a_batch(settings, half, folder)
    results['searched'] = alphas_of_a_search(settings, half)
    results['synchronised'] = step_of_a_convnet(half, lambda network: MODEL_WRAPPERS.build(
        {**compat.model_wrapper_cfg(), 'module': network}))
    torch.save(results, folder / f'rank_{rank}.pth')
    torch.distributed.destroy_process_group()


def means_over_a_batch(settings, part, folder):
    """Name of a term -> gradients of a step on a part of a batch, of the student and of the term's own parameters."""
    found = {}
    for name, options in MEANS.items():
        term = dict(options, file=str(folder / 'process.json')) if name == 'replayed' else options
        torch.manual_seed(0)
        distiller = MODELS.build({**settings, 'losses': {'term': term}, 'candidates': settings['candidates'][-1:]})
        distiller.double().data_preprocessor.register_forward_hook(
            lambda _module, _args, out: {**out, 'inputs': out['inputs'].double()})
        for module in distiller.terms.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        model, batch = distiller, raw_batch(part)
        if torch.distributed.is_initialized():
            model = MODEL_WRAPPERS.build({**compat.model_wrapper_cfg(), 'module': distiller})
        loop = joint_loop(model, lr=0.)
        gradients = gradients_at_each_step(loop)
        loop.step(batch)
        found[name] = {key.removeprefix('module.'): each for key, each in gradients[0].items()}
    return found


def step_of_a_convnet(part, wrap):
    """Gradients and running statistics of a candidate with synchronised batch norms, after a part of a batch."""
    torch.manual_seed(0)
    network = MODELS.build(dict(type='mmamd.MaskedResNet', depth=18, stem_channels=6, base_channels=6, num_stages=2,
                                strides=(1, 2), dilations=(1, 1), out_indices=(1,), norm_cfg=dict(type='SyncBN')))
    network.activate({group.name: group.count // 2 for group in network.unit_groups()})
    wrapped = wrap(network)  # it reduces gradients while it lives
    maps, = wrapped(torch.randn(4, 3, 16, 16)[part])
    maps.square().mean().backward()
    return dict(gradients={name: p.grad for name, p in network.named_parameters()},
                buffers=dict(network.named_buffers()))


def alphas_of_a_search(settings, part):
    """Alphas after a step of a search on a part of a batch, and the gradient that they have followed."""
    torch.manual_seed(0)
    distiller = MODELS.build({**settings, 'losses': SEARCH, 'candidates': settings['candidates'][-1:]}).train().double()
    distiller.terms['process'].eval()  # what a half drops is not what the whole drops
    train, held_out = (distiller.data_preprocessor(raw_batch(part)) for _ in range(2))
    for each, shift in ((train, 0.), (held_out, 0.5)):
        each['inputs'] = each['inputs'].double() + shift
    train['targets'] = distiller.teach(train['inputs'], train['data_samples'])
    update = AlphaUpdate(distiller, torch.optim.SGD(distiller.parameters(), lr=0.1))
    return dict(gradient=update.step(train, held_out), alpha=distiller.terms['process'].alpha)


def joint_steps(settings, half, num_candidates):
    distiller = MODELS.build(settings)
    model = MODEL_WRAPPERS.build({**compat.model_wrapper_cfg(), 'module': distiller})
    reduced, passes = [], []

    def count_bytes(_state, bucket):
        reduced.append(bucket.buffer().numel() * bucket.buffer().element_size())
        return allreduce_hook(None, bucket)

    model.register_comm_hook(None, count_bytes)
    distiller.data_preprocessor.register_forward_hook(lambda *_: passes.append('preprocessor'))
    distiller.teacher.register_forward_hook(lambda *_: passes.append('teacher'))
    loop = joint_loop(model, lr=0.)
    loop.step_candidates = distiller.candidates[:num_candidates]
    gradients = gradients_at_each_step(loop)
    reduced_by_step = []
    for _ in range(NUM_STEPS):
        reduced.clear()
        loop.step(raw_batch(half))
        reduced_by_step.append(sum(reduced))
    return dict(gradients=gradients, reduced=reduced_by_step, passes=passes, sampled=sampled(loop),
                judged=judged(loop) if len(distiller.candidates) > 1 else None,
                remembered={name: value for name, value in distiller.terms.state_dict().items()},
                frozen=[name for name, p in distiller.named_parameters() if not p.requires_grad])


def sampled(loop):
    """Keys of what the hook samples in ten iterations, through the wrapped model."""
    runner, drawn = loop.runner, []
    runner.train_loop, runner.seed, runner.max_epochs, runner.max_iters = loop, 5, 2, 10
    runner.message_hub = SimpleNamespace(runtime_info={})
    hook = SandwichSparsityHook(sampler='random', num_random=1)
    hook.before_train(runner)
    for iteration in range(10):
        runner.iter = iteration
        hook.before_train_iter(runner, batch_idx=iteration)
        drawn += [candidate.key for candidate in loop.step_candidates]
    return drawn


def judged(loop):
    """What a halving judges the candidates by, when each rank has seen other losses of the second one alone."""
    hook = SandwichSparsityHook()
    hook.before_train(loop.runner)
    rank = torch.distributed.get_rank()
    hook._losses = {hook._pool[1].key: torch.tensor([[2., 2.], [10., 1.]][rank])}  # sum and number
    return hook._mean_losses(loop.runner)


def test_two_ranks_train_as_one_process_and_reduce_every_gradient_once(settings, make_distiller, tmp_path):
    Process(('a', 'b'), ('a', 'b'), PATHWAYS, (0, 1), ROWS, ROWS).write(tmp_path / 'process.json')
    torch.multiprocessing.spawn(train_on_half_the_batch, (tmp_path, settings), nprocs=2)
    ranks = [torch.load(tmp_path / f'rank_{rank}.pth', weights_only=False) for rank in range(2)]
    distiller = make_distiller()
    num_bytes = sum(p.numel() * p.element_size() for p in distiller.parameters() if p.requires_grad)
    for number in NUM_CANDIDATES:
        loop = joint_loop(distiller, lr=0.)
        loop.step_candidates = distiller.candidates[:number]
        alone = gradients_at_each_step(loop)
        loop.step(raw_batch())  # the joined batch
        for rank in ranks:
            assert len(rank[number]['gradients']) == NUM_STEPS
            for gradients in rank[number]['gradients']:
                assert_same_gradients({name.removeprefix('module.'): g for name, g in gradients.items()}, alone[0])
            assert rank[number]['reduced'] == NUM_STEPS * [num_bytes], 'once, however many candidates'
            assert rank[number]['passes'] == NUM_STEPS * ['preprocessor', 'teacher']
    for name, losses, number in (('connector', CONNECTOR, 3), ('no head', terms(feat=1), 2)):
        distiller = make_distiller(losses=losses)
        loop = joint_loop(distiller, lr=0.)
        loop.step_candidates = distiller.candidates[:number]
        alone = gradients_at_each_step(loop)
        for _ in range(NUM_STEPS):
            loop.step(raw_batch())
        for rank in ranks:
            for gradients in rank[name]['gradients']:
                assert_same_gradients({key.removeprefix('module.'): g for key, g in gradients.items()}, alone[0])
        # What a term remembers is that of the joined batch, on both ranks.
        for key, value in distiller.terms.state_dict().items():
            torch.testing.assert_close(ranks[0][name]['remembered'][key], value)
            assert torch.equal(ranks[0][name]['remembered'][key], ranks[1][name]['remembered'][key])
    for name in registered_terms():  # some compare the images of a batch with each other, so only ranks are compared
        first, second = ([{key: g for key, g in gradients.items() if g.isfinite().all()} for gradients in
                          rank[name]['gradients']] for rank in ranks)
        for own, other in zip(first, second, strict=True):
            assert own and own.keys() == other.keys() and all(torch.equal(own[key], other[key]) for key in own), name
        # A batch norm of a term keeps the statistics of its rank, which no training reads.
        assert all(torch.equal(value, ranks[1][name]['remembered'][key])
                   for key, value in ranks[0][name]['remembered'].items() if '.running_' not in key), name
    assert {'network.head.fc.weight', 'network.head.fc.bias'} < set(ranks[0]['no head']['frozen'])
    alone = means_over_a_batch(settings, slice(4), tmp_path)
    for name, gradients in alone.items():
        assert any(key.startswith('terms.') and each.any() for key, each in gradients.items()), name
        for rank in ranks:
            torch.testing.assert_close(rank['means'][name], gradients, rtol=1e-8, atol=1e-8)
    alone = alphas_of_a_search(settings, slice(4))
    assert alone['gradient'].norm() > 0
    for rank in ranks:
        torch.testing.assert_close(rank['searched'], alone, rtol=1e-6, atol=0.)
        assert torch.equal(rank['searched']['alpha'], ranks[0]['searched']['alpha'])
    alone = step_of_a_convnet(slice(4), lambda network: network)
    for rank in ranks:
        assert_same_gradients(rank['synchronised']['gradients'], alone['gradients'])
        torch.testing.assert_close(rank['synchronised']['buffers'], alone['buffers'])
    # Ranks that drew other candidates would mix gradients of different networks in silence.
    assert ranks[0][1]['sampled'] == ranks[1][1]['sampled']
    assert len(set(ranks[0][1]['sampled'])) > 1
    # Three steps with losses of 12 in all; the other candidates were not drawn by any rank.
    assert ranks[0][1]['judged'] == ranks[1][1]['judged'] == [None, 4., None]
