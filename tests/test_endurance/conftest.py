"""Runs that are forked from one process, killed, and compared by what they leave."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import onnx
import pytest
import torch
from deaths import Death
from safetensors.torch import load_file

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope='session')
def start():
    """Function that runs a config's file in a work_dir, in processes of its own, perhaps until one of them dies.

    Returns the exit code; what was printed lies in ``work_dir.log``.
    """
    environment = {**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{HERE}',
                   # The last bits of a sum depend on the number of threads.
                   'OMP_NUM_THREADS': str(torch.get_num_threads())}
    server = subprocess.Popen([sys.executable, HERE / 'run_server.py'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, env=environment)

    def run(config, work_dir, death: Death | None = None, ranks=1, counts=None, memory=None):
        request = dict(config=str(config), work_dir=str(work_dir), log=f'{work_dir}.log', ranks=ranks,
                       death=death and asdict(death), counts=counts and str(counts),
                       memory=memory and str(memory))
        server.stdin.write(json.dumps(request) + '\n')
        server.stdin.flush()
        return int(server.stdout.readline())

    yield run
    server.stdin.close()
    assert server.wait(timeout=60) == 0


def content(path):
    """What a file holds; the order of keys and of metadata, which follows the config's, is not part of it."""
    if path.suffix == '.json':
        return json.loads(path.read_text())
    if path.suffix == '.safetensors':
        return {key: value.tolist() for key, value in load_file(path).items()}
    found = onnx.load(path).graph.SerializeToString() if path.suffix == '.onnx' else path.read_bytes()
    return hashlib.sha256(found).hexdigest()


@pytest.fixture(scope='session')
def outcome():
    """Function from a work_dir to what its run has found: name -> content, each bit of it.

    Training checkpoints, logs and what a run says of its costs tell the time too, so they are left out.
    """
    def read(work_dir):
        files = {path.relative_to(work_dir).as_posix(): path for suffix in ('pth', 'json', 'onnx', 'safetensors')
                 for path in work_dir.glob(f'*/*.{suffix}') if not path.name.startswith('epoch_')}
        summary = json.loads((work_dir / 'summary.json').read_text().replace(str(work_dir), ''))
        for student in (summary['student'], *summary['students']):
            student.pop('cost', None)
        return ({name: content(path) for name, path in files.items()} |
                {f'summary.{key}': value for key, value in summary.items() if key not in ('cost', 'stages', 'record')})

    return read
