"""Unit groups by layer and kind, read from their names, and amounts as people write them."""

from mmamd.structures import CandidateFamily, Cost

AMOUNTS = {'flops': 'MACs', 'params': 'parameters'}


def scale_of(family: CandidateFamily) -> str:
    """What scales are fractions of, as people say it: ``'MACs'``, or ``'backbone MACs'`` where heads do not count."""
    if family.scale_by == 'units':
        return 'prunable units'
    return 'backbone ' * (family.unscaled != Cost(0, 0)) + AMOUNTS[family.scale_by]


def split_name(name: str) -> tuple[str, str]:
    """Layer and kind of a unit group: ``'layers.3.head'`` -> ``('layers.3', 'head')``."""
    layer, _, kind = name.rpartition('.')
    return layer, kind


def groups_by_kind(names: list[str]) -> dict[str, list[str]]:
    """Kind -> names of its groups in the given order."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(split_name(name)[1], []).append(name)
    return kinds


def layer_labels(names: list[str]) -> list[str]:
    """Short names of the groups' layers: only the parts in which names of one length differ.

    ``layers.3.head`` is ``'3'`` and ``stages.2.blocks.1.head`` is ``'2.1'``; names of several lengths stay whole.
    """
    layers = [split_name(name)[0].split('.') for name in names]
    if len({len(layer) for layer in layers}) > 1:
        return ['.'.join(layer) for layer in layers]
    telling = [len(set(parts)) > 1 for parts in zip(*layers, strict=True)]
    return ['.'.join(part for part, tells in zip(layer, telling, strict=True) if tells) or layer[-1]
            for layer in layers]


def duration_text(seconds: float) -> str:
    """Seconds as people say them: ``'17 min 25 s'``."""
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f'{minutes} min {rest:02d} s'
    return f'{minutes // 60} h {minutes % 60:02d} min'


def short_amount(amount: float) -> str:
    """Four significant digits: 111294976 -> ``'111.3 M'``."""
    for unit, size in (('E', 1e18), ('P', 1e15), ('T', 1e12), ('G', 1e9), ('M', 1e6), ('k', 1e3)):
        if amount >= size:
            return f'{amount / size:.4g} {unit}'
    return f'{amount:.4g}'


def byte_text(num: int) -> str:
    """Bytes as people write them: 1291380 -> ``'1.29 MB'``."""
    for unit, size in (('GB', 1e9), ('MB', 1e6), ('kB', 1e3)):
        if num >= size:
            return f'{num / size:.3g} {unit}'
    return f'{num} B'
