"""Two processes judge candidates as one does, on every image once, also where the images do not divide evenly."""

from datetime import timedelta

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from mmengine.registry import METRICS
from mmengine.runner import Runner
from test_candidate_evaluation import Hits, KnowsTheFirst, Spread, slices

from mmamd import compat
from mmamd.registry import MODELS
from mmamd.selection.panel import Panel

COUNTS = (1, 7, 8)  # fewer images than processes, an odd number, batches that are all full


def tables(folder, wrapper=None):
    """(number of images, whether the sampler rounds up) -> the table of a selection."""
    METRICS.register_module(module=Hits, force=True)
    METRICS.register_module(module=Spread, force=True)
    MODELS.register_module(module=KnowsTheFirst, force=True)
    found = {}
    for num in COUNTS:
        for round_up in (True, False):
            loader = dict(dataset=[dict(inputs=torch.tensor(9 - i)) for i in range(num)], batch_size=2, num_workers=0,
                          collate_fn=dict(type='default_collate'),
                          sampler=dict(type='DefaultSampler', shuffle=False, round_up=round_up))
            runner = Runner(
                Panel(slices()), str(folder), val_dataloader=loader,
                val_evaluator=[dict(type='Hits'), dict(type='Spread')],
                val_cfg=dict(type='mmamd.CandidateValLoop'), randomness=dict(seed=3), log_level='ERROR',
                cfg=dict(model_wrapper_cfg=wrapper), experiment_name=f'{folder.name}_{num}_{round_up}',
                default_scope='mmpretrain')
            runner.val()
            found[num, round_up] = runner.val_loop.table
    return found


def judge(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2,
                                         timeout=timedelta(minutes=2))
    torch.save(tables(folder / f'rank_{rank}', compat.model_wrapper_cfg()), folder / f'rank_{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def judged(tmp_path_factory):
    """Tables of one process, and of each of two."""
    folder = tmp_path_factory.mktemp('ranks')
    torch.multiprocessing.spawn(judge, (folder,), nprocs=2)
    return tables(folder / 'alone'), *(torch.load(folder / f'rank_{rank}.pth', weights_only=False) for rank in range(2))


@pytest.mark.parametrize('num', COUNTS)
@pytest.mark.parametrize('round_up', [True, False])
def test_two_processes_judge_as_one_does(judged, num, round_up):
    alone, *ranks = (tables[num, round_up] for tables in judged)
    assert alone['0.50'][0]['hits/top1'] == pytest.approx(100 * max(0, num - 4) / num)  # right below 6: from the fifth
    for rank in ranks:
        assert rank == alone  # values and every bootstrap draw, also of a metric that is no mean over images
