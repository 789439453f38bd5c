"""Seeds of their own for everything that draws at random."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A 31-bit seed from a seed and the names of what it is for; the same on every machine."""
    text = '/'.join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], 'big') >> 1
