"""A training of thousands of epochs leaves as many files as one of three, and none that grows but its log."""

import json
import re

import pytest

NUM = 3000
LOG_BYTES = 1000  # of an epoch, whose only step is logged: a line of the log, and one in each of the host's two tables
MOST_GROWTH = 128 * 2**10  # bytes of any other file: curves in pictures have more corners


@pytest.fixture
def files_after(start, tiny_config, tmp_path):
    """Function from a number of epochs to (files of a run, name -> size; bytes of memory after each step)."""
    def run(num_epochs):
        folder = tmp_path / str(num_epochs)
        folder.mkdir()
        # About 50 images to train on: one step of 40 an epoch.
        tiny_config(**{
            'method.type': 'mmamd.KD', 'student.train_cfg.max_epochs': num_epochs,
            'train_dataloader': dict(num_workers=0, batch_size=40, dataset=dict(dataset=dict(indices=60))),
            'val_dataloader.dataset.dataset.indices': 60}).dump(folder / 'config.py')
        work_dir = folder / 'run'
        assert start(folder / 'config.py', work_dir, memory=folder / 'memory.json') == 0, \
            (folder / 'run.log').read_text()[-4000:]
        # The times of starts, and the numbers of the last two epochs, are in names.
        names = {path: re.sub(r'\d{8}_\d{6}', 'TIME', path.relative_to(work_dir).as_posix())
                 for path in sorted(work_dir.rglob('*')) if path.is_file()}
        sizes = {re.sub(r'epoch_(\d+)', lambda found: f'epoch_last-{num_epochs - int(found[1])}', name):
                 path.stat().st_size for path, name in names.items()}
        return sizes, json.loads((folder / 'memory.json').read_text())['student']

    return run


@pytest.mark.slow
def test_three_thousand_epochs_leave_bounded_files(files_after):
    (few, _), (many, memory) = files_after(3), files_after(NUM)
    assert len(memory) >= NUM
    assert few.keys() == many.keys()
    grown = {name: many[name] - few[name] for name in few if many[name] - few[name] > MOST_GROWTH}
    logs = {name: size for name, size in grown.items() if name.startswith('student/TIME/')}
    print(f'{len(few)} files, {sum(few.values())} -> {sum(many.values())} bytes, grown: {grown}; memory in MiB after '
          f'300, {NUM} epochs: {memory[300] / 2**20:.1f}, {memory[-1] / 2**20:.1f}')
    assert sum(logs.values()) <= LOG_BYTES * NUM
    assert grown.keys() - logs.keys() == set()
