"""A training of thousands of epochs leaves as many files as one of three, and none that grows but its log."""

import json

import pytest

NUM = 3000
# A line of the log and one of scalars.json for each logging interval: here an epoch, as it is a single step.
LOG_BYTES = 1000  # an epoch, both


@pytest.mark.slow
def test_three_thousand_epochs_leave_bounded_files(start, tiny_config, tmp_path):
    def files_after(num_epochs):
        folder = tmp_path / str(num_epochs)
        folder.mkdir()
        # About 50 images to train on: one step of 40 an epoch.
        tiny_config(**{
            'method.type': 'mmamd.KD', 'student.train_cfg.max_epochs': num_epochs, 'visualizer.name': 'epochs',
            'train_dataloader': dict(num_workers=0, batch_size=40, dataset=dict(dataset=dict(indices=60))),
            'val_dataloader.dataset.dataset.indices': 60}).dump(folder / 'config.py')
        assert start(folder / 'config.py', folder / 'run', memory=folder / 'memory.json') == 0, \
            (folder / 'run.log').read_text()[-4000:]
        return {path.relative_to(folder / 'run'): path.stat().st_size
                for path in sorted((folder / 'run').rglob('*')) if path.is_file()}

    short, long = files_after(3), files_after(NUM)
    memory = json.loads((tmp_path / str(NUM) / 'memory.json').read_text())['student']
    assert len(memory) == NUM
    grown = {}
    print(len(short), sum(short.values()), len(long), sum(long.values()))
    for path, size in long.items(): print(path, size)
    print(memory[::300])
