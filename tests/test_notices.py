"""What a run is told in passing it is told once."""

import logging

import pytest
from mmengine.logging import MMLogger

from mmamd.notices import forget, host_notices_once, notice


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda text, logger, level: texts.append((text, level)))
    forget()
    yield texts
    forget()


def test_a_text_is_said_once_until_the_next_run(said):
    for _ in range(3):
        notice('look', logging.WARNING)
    assert said == [('look', logging.WARNING)]
    forget()
    notice('look')
    assert said[1:] == [('look', logging.INFO)]


def test_of_texts_about_one_thing_the_first_is_said(said):
    notice('layer 1', about='layers')
    notice('layer 2', about='layers')
    notice('layer 2')
    assert [text for text, _ in said] == ['layer 1', 'layer 2']


def test_what_the_host_says_whenever_it_builds_a_part_is_shown_once():
    class Shown(logging.Handler):
        def emit(self, record):
            texts.append(record.getMessage())

    texts, logger, shown = [], MMLogger.get_instance('mmengine'), Shown()
    logger.addHandler(shown)
    try:
        with host_notices_once():
            for text in ('augmentations are enabled', 'augmentations are enabled', 'another'):
                logger.info(text)
        logger.info('augmentations are enabled')  # not in a run
    finally:
        logger.removeHandler(shown)
    assert texts == ['augmentations are enabled', 'another', 'augmentations are enabled']
