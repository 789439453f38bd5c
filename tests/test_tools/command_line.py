"""Tools as a user starts them, and as modules to look into."""

import argparse
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / 'tools'
TINY = Path(__file__).parents[1] / 'test_pipeline' / 'tiny_config.py'


def load(path):
    """A script as a module, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f'{path.parent.parent.name}_{path.stem}_script', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parser_of(script, monkeypatch):
    """The argument parser of a script."""
    parsers = []
    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, 'parse_args',
                      lambda self: parsers.append(self) or argparse.Namespace(
                          local_rank=0, out=None, out_item=None, shape=None))
        load(script).parse_args()
    return parsers[0]


def environment(**more):
    """This process's environment, for a tool of this repository on a port of its own."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    return {**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(TOOLS.parent), 'OMP_NUM_THREADS': '1',
            'PORT': str(port), **more}


def attempt(*command, **more):
    """Run a command, with more environment variables; returns the finished process."""
    return subprocess.run([str(part) for part in command], env=environment(**more), capture_output=True, text=True,
                          timeout=300)


def run(*command, **more):
    """Run a command that must succeed; returns what it printed."""
    done = attempt(*command, **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def tool(name, *arguments, **more):
    """Run a Python tool that must succeed; returns what it printed."""
    return run(sys.executable, TOOLS / name, *arguments, **more)
