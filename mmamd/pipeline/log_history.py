"""How much of what a training logs is kept in memory, and with it in every checkpoint."""

from mmengine.hooks import Hook
from mmengine.runner import LogProcessor, Runner


class LogHistoryHook(Hook):
    """Keep of each logged value as much as the log averages over, and an epoch at least.

    The host keeps the last million, 16 bytes each: it copies them in every step and writes them into every checkpoint.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        longest = longest_window(runner.log_processor, len(runner.train_dataloader))
        if longest is not None:
            for history in runner.message_hub.log_scalars.values():
                history.max_length = longest


def longest_window(processor: LogProcessor, steps: int) -> int | None:
    """Most steps that a log averages over, at least an epoch's; None where it averages over all that there are."""
    windows = [processor.window_size, steps]
    for item in processor.custom_cfg:
        window = item.get('window_size', 'global')
        if window == 'global':
            return None
        windows.append(steps if window == 'epoch' else window)
    return max(windows)
