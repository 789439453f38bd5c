"""Everything that works around a defect of the host, and nothing else.

Each repair looks for the defect it mends (not for a version or a distribution's name), so that a host that has been
mended is left alone.
"""

import inspect
import logging
import os
import pickle
import warnings
from datetime import timedelta

import torch
import torch.distributed
from mmengine.dataset import BaseDataset
from mmengine.dist import init_dist as host_init_dist
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.runner import checkpoint as host_checkpoint


def apply() -> None:
    """Apply all repairs; harmless when repeated."""
    _let_training_checkpoints_load()
    _let_every_copy_of_a_data_set_be_its_own()
    # mmcv-lite says on import that it lacks an operator of detection, which nothing here uses.
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


def _let_training_checkpoints_load() -> None:
    """MMEngine 0.10 calls torch.load with its default, which since torch 2.6 refuses the host's own checkpoints.

    A training checkpoint holds MMEngine's HistoryBuffer objects and needs full unpickling. Files of plain tensors
    are still read under ``weights_only=True``, and the wider read is logged.
    """
    loader = host_checkpoint.CheckpointLoader._get_checkpoint_loader('local.pth')
    if 'weights_only' in inspect.getsource(loader):
        return

    def load_from_local(filename: str, map_location: str | None) -> dict:
        filename = os.path.expanduser(filename)
        if not os.path.isfile(filename):
            raise FileNotFoundError(f'{filename} can not be found.')
        try:
            return torch.load(filename, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError:
            print_log(f'{filename} holds more than tensors (a training checkpoint); unpickling it in full. '
                      'Only load checkpoints from people you trust.', 'current', logging.INFO)
            return torch.load(filename, map_location=map_location, weights_only=False)

    host_checkpoint.CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)


def _let_every_copy_of_a_data_set_be_its_own() -> None:
    """MMEngine's BaseDataset.get_subset shares one deepcopy memo among all copies, as a mutable default argument.

    Keys of a memo are ids, and ids are reused: after a data set is freed, a subset of another may be given its parts.
    """
    copy_of = BaseDataset._copy_without_annotation
    if copy_of.__defaults__ != (None,):
        BaseDataset._copy_without_annotation = lambda self, memo=None: copy_of(self, {} if memo is None else memo)


def init_distributed(launcher: str, dist_cfg: dict | None) -> None:
    """Start the process group once, also on a machine without a GPU.

    MMEngine selects a CUDA device before it starts any backend, so on a CPU-only machine gloo is started here.
    """
    if launcher == 'none' or is_distributed():
        return
    if torch.cuda.is_available():
        host_init_dist(launcher, **(dist_cfg or {'backend': 'nccl'}))
    elif launcher == 'pytorch':
        torch.distributed.init_process_group('gloo', timeout=timedelta(hours=2))
    else:
        raise ValueError(f"without a GPU only launcher='pytorch' is supported, got {launcher!r}; "
                         'start the processes with tools/dist_train.sh')


def model_wrapper_cfg() -> dict:
    """DistributedDataParallel settings; MMEngine passes device ids, which gloo on CPU refuses."""
    device_ids = [torch.cuda.current_device()] if torch.cuda.is_available() else None
    return dict(type='MMDistributedDataParallel', device_ids=device_ids, broadcast_buffers=False)
