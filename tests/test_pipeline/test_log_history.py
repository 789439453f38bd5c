"""What is kept of logged values is bounded."""

from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor

from mmamd.pipeline.log_history import LogHistoryHook, longest_window


def kept(num_epochs, steps, **log):
    """Number of values that are kept of a loss after so many epochs of so many steps, and the last one."""
    hub = MessageHub(f'history of {num_epochs} {steps} {log}')
    runner = SimpleNamespace(message_hub=hub, log_processor=LogProcessor(**log), train_dataloader=range(steps))
    hook = LogHistoryHook()
    for epoch in range(num_epochs):
        hook.before_train_epoch(runner)
        for step in range(steps):
            hub.update_scalar('train/loss', float(epoch * steps + step))
    values, counts = hub.get_scalar('train/loss').data
    assert len(values) == len(counts)
    return len(values), values[-1]


def test_a_value_is_kept_for_an_epoch():
    assert kept(num_epochs=5, steps=20) == (20, 99)


def test_a_value_is_kept_as_long_as_the_log_averages_over_it():
    assert kept(num_epochs=50, steps=1, window_size=10) == (10, 49)
    assert kept(num_epochs=50, steps=1, custom_cfg=[dict(data_src='loss', window_size=30)]) == (30, 49)
    assert kept(num_epochs=50, steps=1, custom_cfg=[dict(data_src='loss', window_size='global')]) == (50, 49)


@pytest.mark.parametrize('custom, longest', [
    ([], 40), ([dict(data_src='loss', window_size='epoch')], 40), ([dict(data_src='loss', window_size=100)], 100),
    ([dict(data_src='loss', window_size=100), dict(data_src='time', method_name='max')], None)])
def test_the_longest_window(custom, longest):
    assert longest_window(LogProcessor(window_size=10, custom_cfg=custom), 40) == longest
