"""A terminal to run programs on, and the toy network that several folders test with."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
import torch

import mmamd.distillation  # noqa: F401  registers the distiller
from mmamd.registry import MODELS
from mmamd.structures import Candidate, CandidateFamily, Cost

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
            try:
                read = os.read(ours, 1 << 16)
            except OSError:  # the last process has closed it
                break
            output += read
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
    """Settings of a distiller: its teacher, other weights for the shared network, and a family of three."""
    folder = tmp_path_factory.mktemp('distiller')
    generator = torch.Generator().manual_seed(0)
    for name in ('teacher.pth', 'init.pth'):
        network = MODELS.build(ARCHITECTURE)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.5, generator=generator)
        torch.save(dict(state_dict=network.state_dict()), folder / name)
    candidates = [Candidate(scale, dict(zip(GROUPS, counts, strict=True)), Cost(0, 0), scale)
                  for scale, counts in KEPT.items()]
    CandidateFamily(candidates, Cost(0, 0), {}, 'flops').save(folder / 'family.json')
    return dict(type='mmamd.AMDDistiller', architecture=ARCHITECTURE, teacher=str(folder / 'teacher.pth'),
                init=str(folder / 'init.pth'), family=str(folder / 'family.json'),
                data_preprocessor=dict(num_classes=3, mean=[100.] * 3, std=[50.] * 3, to_rgb=False))


@pytest.fixture(scope='session')
def make_distiller(settings):
    """Function that builds the distiller with some settings replaced."""
    return lambda **overrides: MODELS.build({**settings, **overrides})
