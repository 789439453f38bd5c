"""A distiller as a genome: what is compared, after which transforms, by which distance and with which weights."""

import math
import re
from dataclasses import dataclass, replace

from mmamd.nearest import did_you_mean
from mmamd.registry import KD_CALIBRATIONS, KD_DISTANCES, KD_TRANSFORMS

for _registry in (KD_CALIBRATIONS, KD_DISTANCES, KD_TRANSFORMS):
    _registry.import_from_location()  # names are looked up among what is registered

INPUTS = ('feature', 'embedding', 'logits')
NUM_TRANSFORMS = 3
FIELDS = ('in', 'trans', 'dist', 'cal', 'weight', 'tau')
EXAMPLE = 'in:[logits] trans:[no|softmax_C|no] dist:[Pearson] cal:[no] weight:[1] tau:[4]'


@dataclass(frozen=True)
class Genome:
    """A distiller of KD-Zero, ``tau^2 W C D(T(f_S / tau), T(f_T / tau))`` (Eq. 1).

    Attributes:
        input: What f is: ``'feature'``, the maps of a layer, (N, C, H, W); ``'embedding'``, a vector an image, (N, C);
            ``'logits'``.
        transforms: Three names of ``KD_TRANSFORMS``, T, carried out in order.
        distance: Name in ``KD_DISTANCES``, D.
        calibration: Name in ``KD_CALIBRATIONS``, C, a weight of each sample.
        weight: W > 0.
        tau: Temperature > 0.

    Raises:
        ValueError: A name is unknown, there are not three transforms, or a number is not positive.
    """

    input: str
    transforms: tuple[str, ...]
    distance: str
    calibration: str = 'no'
    weight: float = 1.
    tau: float = 1.

    def __post_init__(self) -> None:
        check_name('input', self.input, INPUTS)
        if len(self.transforms) != NUM_TRANSFORMS:
            raise ValueError(f'a genome has {NUM_TRANSFORMS} transforms, got {len(self.transforms)}: '
                             f"{list(self.transforms)}; fill up with 'no'")
        for name in self.transforms:
            check_name('transform', name, KD_TRANSFORMS.module_dict)
        check_name('distance', self.distance, KD_DISTANCES.module_dict)
        check_name('calibration', self.calibration, KD_CALIBRATIONS.module_dict)
        for name in ('weight', 'tau'):
            check_positive(name, getattr(self, name))
        object.__setattr__(self, 'transforms', tuple(self.transforms))

    def __str__(self) -> str:
        return (f'in:[{self.input}] trans:[{"|".join(self.transforms)}] dist:[{self.distance}] '
                f'cal:[{self.calibration}] weight:[{_number(self.weight)}] tau:[{_number(self.tau)}]')

    @classmethod
    def parse(cls, text: str) -> 'Genome':
        """The genome of a text, with or without blanks.

        Raises:
            ValueError: The text is none, or says what :class:`Genome` refuses.
        """
        found = re.findall(r'(\w+):\[([^\[\]]*)\]', text) if isinstance(text, str) else []
        names = tuple(name for name, _ in found)
        if names != FIELDS or re.sub(r'\w+:\[[^\[\]]*\]|\s', '', text):
            raise ValueError(f'{text!r} is no genome: expected the fields {", ".join(FIELDS)} in this order, each '
                             f'followed by :[...], got {", ".join(names) or "none"}; e.g. {EXAMPLE!r}. One of another '
                             'version must be written anew')
        what, transforms, distance, calibration, *numbers = (value.strip() for _, value in found)
        return cls(what, tuple(name.strip() for name in transforms.split('|')), distance, calibration,
                   *(_read(name, number) for name, number in zip(FIELDS[4:], numbers, strict=True)))

    def canonical(self, dense: bool = False) -> 'Genome':
        """The one genome of all that compute the same: transforms without effect are ``'no'``, and come last.

        Without effect are those that ask for axes which the knowledge has not at that place, and a second of two alike
        that are idempotent.

        Args:
            dense: Whether logits are maps, as a segmentor's.
        """
        rank = 4 if self.input == 'feature' or dense and self.input == 'logits' else 2
        kept: list[str] = []
        for name in self.transforms:
            transform = KD_TRANSFORMS.module_dict[name]
            if not (transform.is_identity or rank < transform.least_rank
                    or transform.is_idempotent and kept[-1:] == [name]):
                kept.append(name)
                rank = transform.gives or rank
        return replace(self, transforms=(*kept, *['no'] * (NUM_TRANSFORMS - len(kept))))

    @property
    def needs_batch(self) -> list[str]:
        """Of a canonical genome, the operations that say nothing of one sample alone."""
        named = [(name, KD_TRANSFORMS.module_dict[name]) for name in self.transforms]
        named.append((self.distance, KD_DISTANCES.module_dict[self.distance]))
        return [name for name, operation in named if operation.needs_batch]


def check_name(what: str, name: str, known) -> None:
    """Raise ValueError, with the nearest names, unless a name is known."""
    if name not in known:
        raise ValueError(f'there is no {what} {name!r}; expected one of {", ".join(known)}'
                         f'{did_you_mean(str(name), known)}')


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless a number is positive and finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError(f'{name} must be a positive finite number, got {value!r}')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _read(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'{name} must be a positive finite number, got {text!r}') from None
