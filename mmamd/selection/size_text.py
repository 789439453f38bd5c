"""How a run has come to the size of its student, where the config names none, in words."""

from mmamd.structures import scale_key


def size_sentences(summary: dict) -> list[str]:
    """How a run has come to the size of its student, where it was not named: a sentence, and a warning if it missed."""
    size = summary.get('size')
    if size is None:
        return []
    if 'latency' in size:
        found, = size['tried']
        return [f'The size is the largest of at most {size["latency"]}: {scale_key(found["scale"])} takes '
                f'{1e3 * found["seconds"]:.3g} ms (median; batch {size["batch_size"]}, {size["runtime"]}, '
                f'{size["device"]}, threads {size["threads"]}).']
    each = ', '.join(f'{scale_key(tried["scale"])} keeps {tried["kept"]:.1%}' for tried in size['tried'])
    verdict = '' if size['is_met'] else ('; no size that a student may have keeps it, and the largest is delivered: '
                                         'train it longer, or name larger candidates in compression.scales')
    return [f"The student is to keep {size['keep']:.1%} of the teacher's held-out performance: {each}{verdict}."]
