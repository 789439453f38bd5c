"""Train from a config: the whole pipeline, or one plain MMPretrain training (a teacher)."""

import argparse
import os
import sys
from pathlib import Path

import torch
from mmengine.config import Config, DictAction

from mmamd.pipeline.divergence import EXIT_CODE, TrainingDiverged
from mmamd.pipeline.launch import build_runner


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--work-dir', help='where logs and models go (default: work_dirs/<name of the config>)')
    parser.add_argument('--resume', nargs='?', const='auto',
                        help='resume from this checkpoint; without a value, from the latest one in the work_dir')
    parser.add_argument('--start-from', metavar='STAGE', help='pipeline: redo this stage and all after it')
    parser.add_argument('--amp', action='store_true', help='train in automatic mixed precision')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate checkpoints during training')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by the actual batch size over auto_scale_lr.base_batch_size')
    parser.add_argument('--no-pin-memory', action='store_true', help='pin_memory=False in every dataloader')
    parser.add_argument('--no-persistent-workers', action='store_true',
                        help='persistent_workers=False in every dataloader (a pipeline never has them)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='overrides of the config; lists as key="[a,b]" or key=a,b, without spaces')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by torch.distributed.launch')
    return parser.parse_args()


def merge_args(cfg: Config, args: argparse.Namespace) -> None:
    """Write the arguments into the config; --cfg-options come last and win."""
    is_pipeline = 'runner_type' in cfg
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(args.config).stem))
    if args.start_from is not None:
        cfg.start_from = args.start_from
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    if args.no_validate and not is_pipeline:  # whose training stages never do; it selects on the held-out images
        cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if loader is None:
            continue
        loader.setdefault('pin_memory', torch.cuda.is_available())  # without a GPU torch only warns
        if cfg.get('default_scope', 'mmpretrain') == 'mmpretrain':  # whose batches are tensors; others' are lists
            loader.setdefault('collate_fn', dict(type='default_collate'))
        # Persistent workers keep a random state that no checkpoint holds; a pipeline resumes exactly, so without them.
        loader.setdefault('persistent_workers', not is_pipeline)
        if args.no_pin_memory:
            loader.pin_memory = False
        if args.no_persistent_workers or is_pipeline:
            loader.persistent_workers = False
    cfg.merge_from_dict(args.cfg_options or {})


def main() -> None:
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    merge_args(cfg, args)
    runner = build_runner(cfg)
    try:
        runner.train()
    except TrainingDiverged as error:
        print(f'train.py: {error}', file=sys.stderr)
        sys.exit(EXIT_CODE)


if __name__ == '__main__':
    main()
