"""``mmamd compress TEACHER --data FOLDER --to 15%``: what is needed is found out, said, written down and run."""

import argparse
import copy
import os
from pathlib import Path
from shlex import quote

from mmengine.config import DictAction

from mmamd.api import compress
from mmamd.cli.data import Data, find_data, in_order_of, written_lists
from mmamd.cli.goal import add_goal, goal_name, goal_of, goal_sentence
from mmamd.cli.network import KNOWN, Described, describe
from mmamd.cli.recipe import BUDGET, Schedule, config_text, every, num_trained, schedule_of
from mmamd.files.whole import write_whole
from mmamd.pipeline.console import say
from mmamd.pruning import fixed_share
from mmamd.registry import MODELS
from mmamd.weights.checkpoint import load_weights
from mmamd.weights.sources import local_file, split_timm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('source', metavar='TEACHER',
                        help="its weights: a file, a URL, a key of MMPretrain's zoo, timm:NAME or timm:NAME@FILE")
    parser.add_argument('--data', required=True, metavar='PATH',
                        help='images: train/CLASS/* and test/CLASS/*, or CLASS/* alone, or a list of them (.csv, .txt)')
    parser.add_argument('--test-data', metavar='PATH', help='test images, where they lie elsewhere')
    add_goal(parser)
    parser.add_argument('--config', metavar='FILE', help='config that trained the teacher, if its checkpoint has none')
    parser.add_argument('--arch', metavar='NAME', help=f'network of the teacher, likewise: {", ".join(KNOWN)}')
    parser.add_argument('--work-dir', metavar='FOLDER', help='of the run; by default work_dirs/TEACHER_DATA_SIZE')
    parser.add_argument('--epochs', type=_count,
                        help='of plain distillation, which a budget is counted in; proposed from the data by default')
    parser.add_argument('--batch-size', type=_count, help='images a step')
    parser.add_argument('--budget', type=float,
                        help='cost of the whole run in plain distillations, 1 by default; not with --keep')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument('--dry-run', action='store_true', help='write the config and stop')
    parser.add_argument('--force', action='store_true', help='replace a config that is there and says otherwise')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='overrides of the config, for this command alone; lists as key="[a,b]"')


def run(args: argparse.Namespace) -> None:
    if 'work_dir' in args.cfg_options:
        raise ValueError(f'--cfg-options work_dir={args.cfg_options["work_dir"]}: give --work-dir, beside which the '
                         'config is written too')
    teacher = describe(args)
    network = MODELS.build(copy.deepcopy(teacher.architecture))
    load_weights(network, args.source)
    data, order = in_order_of(find_data(args.data, args.test_data), teacher.classes, teacher.num_classes)
    work_dir = Path(args.work_dir or Path('work_dirs', _name(args)))
    path = work_dir.with_name(f'{work_dir.name}.py')
    data = written_lists(data, work_dir.with_name(f'{work_dir.name}_lists').absolute())
    schedule = schedule_of(num_trained(data), sum(p.numel() for p in network.parameters()), args.epochs,
                           args.batch_size)
    fixed = fixed_share(network)
    budget = BUDGET if args.budget is None and args.keep is None else args.budget
    goal = goal_of(args, fixed) | ({} if budget is None else dict(budget=budget))
    text = config_text(f'{Path(args.source).name} -> {goal_sentence(args)}, by `mmamd compress`.', _source(args.source),
                       teacher, data, goal, schedule)
    say('\n'.join(_said(teacher, data, order, schedule, goal, fixed)))
    _write(path, text, args.force)
    say(f'config: {path}')
    if args.dry_run:
        say('to run it: mmamd compress ... without --dry-run, or '
            f'tools/train.py {quote(str(path))} --work-dir {quote(str(work_dir))}')
        return
    amp = {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.loss_scale': 'dynamic'} if args.amp else {}
    compress(path, work_dir=work_dir, **{**amp, **args.cfg_options})
    which = f' --scale {min(args.to):g}' if len(set(args.to or ())) > 1 else ''
    run_folder = quote(str(work_dir))
    say(f'next: mmamd predict {run_folder} IMAGE{which}, mmamd export {run_folder} --form onnx{which}')


def _said(teacher: Described, data: Data, order: str | None, schedule: Schedule, goal: dict,
          fixed: float) -> list[str]:
    """What was found out, and what follows from it."""
    parts = {split: f'{part.num:,} in {part.prefix or data.root}' for split, part in data.parts.items()}
    held = every(data.smallest)
    missing = [split for split in ('val', 'test') if split not in data.parts]
    backbone, mean = teacher.architecture['backbone'], ', '.join(f'{value:g}' for value in teacher.preprocessor['mean'])
    std = ', '.join(f'{value:g}' for value in teacher.preprocessor['std'])
    height, width = teacher.size
    lines = [
        f'teacher: {backbone["type"]}, {teacher.num_classes} classes, by {teacher.found["architecture"]}',
        f'images: {height} x {width}, by {teacher.found["image size"]}; mean {mean}, std {std}, by '
        f'{teacher.found["mean and std"]}',
        f'data: {"; ".join(f"{split} {text}" for split, text in parts.items())}; {len(data.classes)} classes']
    if missing:
        use = {'val': 'to choose by', 'test': 'to test on'}
        lines.append(f'held out of the training images, every {held}th of a class: '
                     + ' and '.join(use[split] for split in missing))
    if 'test' in missing:
        lines.append('note: if the teacher was trained on all of these images, its test accuracy will look better than '
                     'it is; --test-data names others')
    if order:
        lines.append(f'note: the checkpoint names its classes, and {order}')
    elif teacher.classes is None:
        lines.append(f'note: nothing says the order of the teacher\'s classes; taken to be '
                     f'{", ".join(data.classes[:3])}, ...')
    if scales := goal.get('scales'):
        lines.append(f'note: what pruning never removes has {fixed:.0%} of its MACs, so the sizes that are tried begin '
                     f'at {scales[0]:.0%}')
    more = ' and as many more as the stored answers save' if 'budget' in goal else ''
    return [*lines,
            f'student: {schedule.epochs} epochs of {schedule.steps} steps of {schedule.batch_size} images{more}, AdamW '
            f'at {schedule.lr:g}',
            'taught by: the teacher alone, not the labels; it is asked once for each stored view of an image']


def _write(path: Path, text: str, force: bool) -> None:
    if path.is_file() and path.read_text() != text and not force:
        raise FileExistsError(f'{path} is there and says otherwise, as if you had edited it; run it with '
                              'tools/train.py, or give another --work-dir, or --force to replace it')
    write_whole(text.encode(), path)


def _source(source: str) -> str:
    """A source of weights whose file is named from anywhere."""
    if local_file(source) is None:
        return source
    timm = split_timm(source)
    file = str(local_file(source).resolve())
    return file if timm is None else f'timm:{timm[0]}@{file}'


def _name(args: argparse.Namespace) -> str:
    teacher = Path(args.source.removeprefix('timm:')).stem.replace('@', '_')
    return f'{teacher}_{Path(args.data).resolve().stem}_{goal_name(args)}'.replace(os.sep, '_')


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f'expected a positive integer, got {text!r}')
    return int(text)
