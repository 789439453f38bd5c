"""Run a table of the paper, row by row, and print its figures beside ours.

A row that has been run is not run again, so the command may be interrupted, and several processes may share a table.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'benchmarks'))  # where the tables are, as data

from tables.command_line import main  # noqa: E402

if __name__ == '__main__':
    main()
