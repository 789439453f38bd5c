"""The command ``mmamd`` and its sub-commands, each imported when it is asked for."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from mmamd.version import __version__

# Name of a sub-command, and of the file here that has its ``add_arguments`` and ``run`` -> what it does.
COMMANDS = {
    'compress': 'make a trained classifier small, from its checkpoint and a folder of images',
    'status': 'say what a run is doing',
    'export': 'write any network of a run in any form',
    'bench': 'time the networks of a run, by torch and ONNX Runtime',
    'predict': 'say what the small model of a run takes images for',
}
EXPECTED = (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError, ImportError, RuntimeError)


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what a command line says; what is expected to go wrong ends it in one line."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    args = _parser(arguments).parse_args(arguments)
    try:
        args.run(args)
    except EXPECTED as error:
        if args.traceback:
            raise
        print(f'mmamd {args.command}: {error}', file=sys.stderr)
        sys.exit(getattr(error, 'exit_code', 1))
    except KeyboardInterrupt:
        sys.exit(130)  # of a shell, for what was interrupted


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='mmamd', description='Make large vision models small.')
    parser.add_argument('--version', action='version', version=f'mmamd {__version__}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f'{text[0].upper()}{text[1:]}.')
        if arguments and arguments[0] == name:
            module = import_module(f'mmamd.cli.{name}')
            module.add_arguments(command)
            command.add_argument('--traceback', action='store_true', help='show where in the code an error was raised')
            command.set_defaults(run=module.run)
    return parser
