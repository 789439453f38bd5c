"""Count the MACs and parameters of the network of a config, exactly and by part."""

import argparse
import sys

from mmengine.config import Config, DictAction

from mmamd.pipeline.flops import format_flops


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help="path of a config: of a pipeline, a teacher's, an exported "
                                       "student/config.py, or MMPretrain's of a backbone that mmamd knows")
    parser.add_argument('--shape', type=int, nargs='+', metavar=('H', 'W'),
                        help="height and width of the image; one number for a square (default: the config's)")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='overrides of the config; lists as key="[a,b]" or key=a,b, without spaces')
    args = parser.parse_args()
    if args.shape is not None and (len(args.shape) > 2 or min(args.shape) < 1):
        parser.error(f'--shape takes one or two positive numbers, H and W; got {args.shape}')
    return args


def main() -> None:
    args = parse_args()
    try:
        cfg = Config.fromfile(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        print(format_flops(cfg, args.shape and (args.shape * 2)[:2]))
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'get_flops.py: {error}')


if __name__ == '__main__':
    main()
