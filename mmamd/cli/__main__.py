"""``python -m mmamd.cli``: the command ``mmamd``, where it is not installed."""

from mmamd.cli.main import main

main()
