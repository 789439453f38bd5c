"""A teacher that says what it is, and digits in folders, as a user who comes with a model has them."""

import sys

import cv2
import pytest
from newcomer import save_teacher

from mmamd.cli.main import main
from mmamd.datasets import Digits


@pytest.fixture(scope='session')
def folder(teacher, tmp_path_factory):
    """Digits as ``data/train/CLASS/*.png`` and ``data/test``; ``teacher.pth`` with its config and classes."""
    folder = tmp_path_factory.mktemp('a user')
    for split in ('train', 'test'):
        digits = Digits(split=split, indices=200)
        for i in range(200):
            place = folder / 'data' / split / f'digit {digits[i]["gt_label"]}'
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f'{i}.png'), digits[i]['img'])
    save_teacher(teacher, folder / 'teacher.pth')
    return folder


@pytest.fixture
def mmamd_command(monkeypatch, capsys):
    """Function that does what a command line says; returns (exit status, standard output, standard error)."""
    def call(*words):
        monkeypatch.setattr(sys, 'argv', ['mmamd', *map(str, words)])
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return call
