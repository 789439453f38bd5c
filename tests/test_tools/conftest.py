"""A run of two processes, started from a terminal, that the tests of this folder look at."""

from types import SimpleNamespace

import pytest
from command_line import TINY, TOOLS, environment

from mmamd.pipeline.status import read_status


@pytest.fixture(scope='session')
def two_processes(tmp_path_factory, on_terminal):
    """The run: ``work_dir``, with spaces and a quote in its name; ``screen``; ``seen``, its states meanwhile."""
    folder = tmp_path_factory.mktemp('tools') / "a run's folder of two"
    seen = []

    def look():
        if (folder / 'progress.json').exists():
            status = read_status(folder)
            stage = status.snapshot.running
            seen.append((status.state, stage and stage.name))

    # Quotes and a dollar sign that no shell on the way may touch.
    code, screen = on_terminal(
        [TOOLS / 'dist_train.sh', TINY, '2', '--work-dir', folder, '--cfg-options', 'joint.train_cfg.max_epochs=1',
         'student.train_cfg.max_epochs=1', "visualizer.name=it's$HOME"], meanwhile=look, **environment())
    assert code == 0, '\n'.join(screen[-60:])
    return SimpleNamespace(work_dir=folder, screen=screen, seen=seen)


@pytest.fixture(scope='session')
def work_dir(two_processes):
    """Folder of the finished run; look at it, change a copy."""
    return two_processes.work_dir
