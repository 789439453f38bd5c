"""Terms of the loss that grow at the start of a training, while the student says little that is worth comparing."""


def check_warmup(warmup: float) -> None:
    """Raise ValueError if it is no share of a stage."""
    if isinstance(warmup, bool) or not isinstance(warmup, (int, float)) or not 0 <= warmup <= 1:
        raise ValueError(f'warmup must be a share of the stage in [0, 1], got {warmup!r}; 0 is none')


def grown(progress: float, warmup: float) -> float:
    """Factor of a term that grows linearly from 0 to 1.

    Args:
        progress: Share of the stage that is done.
        warmup: Share of the stage over which it grows; 0 for none.
    """
    return min(1., progress / warmup) if warmup else 1.
