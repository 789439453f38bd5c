"""What several folders test with: a terminal to run programs on, a toy network, a tiny run of the pipeline."""

import fcntl
import gc
import os
import pty
import re
import select
import struct
import subprocess
import termios
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmamd
import mmamd.distillation  # noqa: F401  registers the distiller
from mmamd.datasets import Digits
from mmamd.pipeline import summary
from mmamd.registry import MODELS
from mmamd.structures import Candidate, Cost

TINY = Path(__file__).parent / 'test_pipeline' / 'tiny_config.py'
COLUMNS, ROWS = 100, 60
_PART = re.compile(r'\x1b\[([\d;?]*)([A-Za-z])|([^\x1b])', re.DOTALL)  # a control sequence, or a character


def screen_after(output):
    """Lines that a terminal shows, with those that have scrolled away, after it was sent ``output``.

    Understands what a live display sends: movement up, erasure of a line; colours and the cursor's looks are ignored.
    """
    lines, row, column = [[]], 0, 0
    for arguments, command, character in _PART.findall(output):
        if character == '\n':
            row += 1
            lines += [[] for _ in range(row + 1 - len(lines))]
        elif character == '\r':
            column = 0
        elif character:
            line = lines[row]
            line += ' ' * (column + 1 - len(line))
            line[column] = character
            column += 1
        elif command == 'A':
            row = max(0, row - int(arguments or 1))
        elif command == 'K':
            lines[row] = []
        else:
            assert command in 'mhl', f'the test knows no control sequence {arguments}{command}'
    return [''.join(line).rstrip() for line in lines]


@pytest.fixture(scope='session')
def on_terminal():
    """Function that runs a command on a terminal; returns its exit code and the lines that the terminal shows."""
    def run(command, meanwhile=lambda: None, **environment):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', ROWS, COLUMNS, 0, 0))
        kept = {name: value for name, value in os.environ.items()
                if name not in ('NO_COLOR', 'COLUMNS', 'LINES', 'SLURM_JOB_ID')}
        process = subprocess.Popen([str(part) for part in command], stdin=theirs, stdout=theirs, stderr=theirs,
                                   env={**kept, 'TERM': 'xterm-256color', **environment})
        os.close(theirs)
        output = b''
        while True:
            # Also while nothing is drawn: what happens meanwhile may be over before the next line.
            if select.select([ours], [], [], 0.05)[0]:
                try:
                    output += os.read(ours, 1 << 16)
                except OSError:  # the last process has closed it
                    break
            meanwhile()
        os.close(ours)
        return process.wait(timeout=60), screen_after(output.decode())

    return run


# --- a toy network ---

# 2 blocks of 2 heads (D = 4) and 6 neurons; 8 x 8 images of 3 classes.
ARCHITECTURE = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4, out_type='avg_featmap',
                  arch=dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=6)),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=8))
# Nested; the smallest has a block without heads and a block without neurons.
KEPT = {0.1: (0, 2, 1, 0), 0.5: (1, 3, 1, 4), 0.8: (1, 6, 2, 5)}
GROUPS = ('layers.0.head', 'layers.0.neuron', 'layers.1.head', 'layers.1.neuron')


@pytest.fixture(scope='session')
def network_settings():
    return ARCHITECTURE


@pytest.fixture(scope='session')
def settings(tmp_path_factory):
    """Settings of a distiller: its teacher, other weights for the shared network, and three nested candidates."""
    folder = tmp_path_factory.mktemp('distiller')
    generator = torch.Generator().manual_seed(0)
    for name in ('teacher.pth', 'init.pth'):
        network = MODELS.build(ARCHITECTURE)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.5, generator=generator)
        torch.save(dict(state_dict=network.state_dict()), folder / name)
    candidates = [asdict(Candidate(scale, dict(zip(GROUPS, counts, strict=True)), Cost(10 * i, i), scale))
                  for i, (scale, counts) in enumerate(KEPT.items(), 1)]
    return dict(type='mmamd.AMDDistiller', architecture=ARCHITECTURE, teacher=str(folder / 'teacher.pth'),
                start=str(folder / 'init.pth'), candidates=candidates,
                data_preprocessor=dict(num_classes=3, mean=[100.] * 3, std=[50.] * 3, to_rgb=False),
                num_images=5000)  # more than the negatives of a contrastive term


@pytest.fixture(scope='session')
def make_distiller(settings):
    """Function that builds the distiller with some settings replaced."""
    return lambda **overrides: MODELS.build({**settings, **overrides})


# --- a tiny run of the pipeline, to be looked at, changed and broken ---

@pytest.fixture(scope='session', autouse=True)
def quick_garbage_collection():
    """The host collects garbage with every data set; what the imports made need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def quick_end(request, monkeypatch):
    """Runs that a test makes itself end without report and pictures, which take longer than all stages of a tiny run.

    Those of wider fixtures are drawn, and those of tests with the mark ``draws``.
    """
    if request.node.get_closest_marker('draws') is None:
        for name in ('write_report', '_show'):
            monkeypatch.setattr(summary, name, lambda *_: None)


@pytest.fixture(scope='session')
def digits():
    """images (N, 3, 8, 8) normalised as configs/_base_/datasets/digits.py does, labels (N,); first 100 of a split."""
    def read(split):
        samples = Digits(split=split, indices=100)
        images = torch.stack([torch.from_numpy(samples[i]['img']).permute(2, 0, 1).float() for i in range(100)])
        return (images - 77.8) / 95.9, torch.tensor([samples[i]['gt_label'] for i in range(100)])

    return read


@pytest.fixture(scope='session')
def teacher(tmp_path_factory, digits):
    """Checkpoint of the network of tiny_config.py, well above chance on the digits."""
    images, labels = digits('train')
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.random.fork_rng():
        torch.manual_seed(0)
        network = MODELS.build(Config.fromfile(TINY).model.architecture)
        network.init_weights()
        optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
        for _ in range(40):
            loss = torch.nn.functional.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    path = tmp_path_factory.mktemp('teacher') / 'teacher.pth'
    torch.save({'state_dict': network.state_dict()}, path)
    return path


@pytest.fixture(scope='session')
def tiny_config(teacher):
    """Function that reads tiny_config.py over a trained teacher, with overrides as nested or dotted keys."""
    return lambda **overrides: read_tiny_config(teacher, overrides)


@pytest.fixture(scope='session')
def finished_run(teacher, tmp_path_factory):
    """(work_dir, summary) of one whole uninterrupted run. Look at it; run in a copy."""
    work_dir = tmp_path_factory.mktemp('finished') / 'run'
    return work_dir, mmamd.compress(read_tiny_config(teacher, {}), work_dir=work_dir)


@pytest.fixture(scope='session')
def refit_config(tiny_config):
    """Function that reads tiny_config.py for AMD with refit candidates, with overrides as nested or dotted keys."""
    def read(**overrides):
        config = tiny_config(**{'compression.refit': dict(num_images=160, num_images_candidates=64),
                                'method': dict(type='mmamd.AMD', candidates='refit'),
                                'student.train_cfg.max_epochs': 2, 'randomness.seed': 0, **overrides})
        config.custom_hooks[1].rule = 'npsd_cost'
        return config

    return read


@pytest.fixture(scope='session')
def refit_run(refit_config, tmp_path_factory):
    """(work_dir, summary) of a whole run by AMD with refit candidates. Look at it; run in a copy."""
    work_dir = tmp_path_factory.mktemp('refit') / 'run'
    return work_dir, mmamd.compress(refit_config(), work_dir=work_dir)


@pytest.fixture
def contents():
    """Function from a folder to {file: (time of its last change, size)}, to see that nothing was written.

    Without logs: the host's logger of the last stage lives on in this process.
    """
    return lambda folder: {path.relative_to(folder): (path.stat().st_mtime_ns, path.stat().st_size)
                           for path in sorted(folder.rglob('*')) if path.is_file() and path.suffix != '.log'}


def read_tiny_config(teacher, overrides):
    config = Config.fromfile(TINY)
    config.merge_from_dict({'model.teacher': str(teacher), **overrides})
    return config
