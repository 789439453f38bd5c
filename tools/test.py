"""Evaluate a checkpoint on the test split of its config, such as student/config.py and student/student.pth."""

import argparse
import copy
import os
from pathlib import Path

import mmengine
import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.evaluator import DumpResults

from mmamd.pipeline.launch import build_runner
from mmamd.weights.checkpoint import load_weights


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path or URL of the checkpoint')
    parser.add_argument('--work-dir', help='where the metrics go (default: work_dirs/<name of the config>)')
    parser.add_argument('--out', help='file that the predictions or the metrics are written to')
    parser.add_argument('--out-item', choices=['metrics', 'pred'], help='what --out holds (default: pred)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='overrides of the config; lists as key="[a,b]" or key=a,b, without spaces')
    parser.add_argument('--amp', action='store_true', help='test in automatic mixed precision')
    parser.add_argument('--show-dir', help='where images with their predictions are written')
    parser.add_argument('--show', action='store_true', help='show images with their predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='show or write every n-th image')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds that a window stays')
    parser.add_argument('--no-pin-memory', action='store_true', help='pin_memory=False in the dataloader')
    parser.add_argument('--tta', action='store_true',
                        help='test-time augmentation: tta_model and tta_pipeline of the config, else mean over flips')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by torch.distributed.launch')
    args = parser.parse_args()
    if args.out_item is not None and args.out is None:
        parser.error('--out-item says what to write; name the file with --out')
    return args


def merge_args(cfg: Config, args: argparse.Namespace) -> None:
    """Write the arguments into the config; --cfg-options come last and win."""
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(args.config).stem))
    cfg.load_from = None  # the host would load what fits and log the rest
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir is not None:
        if 'visualization' not in cfg.default_hooks:
            raise ValueError(f'{args.config} lacks default_hooks.visualization, which --show and --show-dir need')
        hook = cfg.default_hooks.visualization
        hook.update(show=args.show, wait_time=args.wait_time, interval=args.interval)
        if hook.type == 'SegVisualizationHook':
            hook.draw, cfg.visualizer.save_dir = True, args.show_dir
        else:
            hook.update(enable=True, out_dir=args.show_dir)
    if args.tta:
        add_test_time_augmentation(cfg)
    cfg.test_dataloader.setdefault('pin_memory', torch.cuda.is_available())  # without a GPU torch only warns
    if cfg.get('default_scope', 'mmpretrain') == 'mmpretrain':  # whose batches are tensors; others' are lists
        cfg.test_dataloader.setdefault('collate_fn', dict(type='default_collate'))
    if args.no_pin_memory:
        cfg.test_dataloader.pin_memory = False
    cfg.merge_from_dict(args.cfg_options or {})


def add_test_time_augmentation(cfg: Config) -> None:
    """Wrap the model and the test pipeline; by default the scores of the image and its mirror image are averaged."""
    cfg.setdefault('tta_model', ConfigDict(type='mmpretrain.AverageClsScoreTTA'))
    if 'tta_pipeline' not in cfg:
        *transforms, pack = copy.deepcopy(cfg.test_dataloader.dataset.pipeline)
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        cfg.tta_pipeline = [*transforms, dict(type='TestTimeAug', transforms=[flips, [pack]])]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def main() -> None:
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    merge_args(cfg, args)
    if 'runner_type' in cfg:
        raise ValueError(f'{args.config} is a config of {cfg.runner_type}, which has no one model to test; give the '
                         'exported student/config.py and student/student.pth of its work_dir')
    runner = build_runner(cfg)
    network = runner.model
    while hasattr(network, 'module'):  # several processes, test-time augmentation
        network = network.module
    load_weights(network, args.checkpoint)
    if args.out and args.out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if args.out and args.out_item == 'metrics':
        mmengine.dump(metrics, args.out)


if __name__ == '__main__':
    main()
