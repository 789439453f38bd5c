"""A terminal to run programs on."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

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
