"""What methods share whose assistants are known beforehand: which they are, and what each training starts from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mmamd.methods.method import Method
from mmamd.methods.plan import Plan
from mmamd.structures import scale_key


@dataclass(frozen=True)
class WithAssistants(Method):
    """A method that trains the candidates of some scales on the way to its student.

    Attributes:
        assistants: Their scales; by default all candidates between student and teacher.
        in_sequence: Whether one follows the other from the teacher down, so that they are named in that order.
    """

    assistants: tuple[float, ...] | None = None
    in_sequence: ClassVar[bool] = False

    def __post_init__(self) -> None:
        given = self.assistants
        if given is None:
            return
        example = '[0.5, 0.2]' if self.in_sequence else '[0.2, 0.5]'
        if not isinstance(given, tuple) or not given:
            raise ValueError(f'method.assistants must be the scales of at least one assistant, e.g. {example}, got '
                             f"{given!r}; without one it is plain distillation, method.type='mmamd.KD'")
        keys = [scale_key(scale) for scale in given]
        twice = [scale for scale, key in zip(given, keys, strict=True) if keys.count(key) > 1]
        if twice:
            raise ValueError(f'method.assistants must name each scale once, got {list(given)}; leave one '
                             f'{twice[0]} out')
        if self.in_sequence and list(given) != sorted(given, reverse=True):
            raise ValueError('method.assistants must descend, each one being taught by larger ones, got '
                             f'{list(given)}; give {sorted(given, reverse=True)}')

    def scales(self, plan: Plan) -> list[float]:
        """Scales of the assistants: descending where one follows the other, else ascending.

        Of several students each has those above it.

        Raises:
            ValueError: If one is that of no candidate above the smallest student, or none lies above this one.
        """
        given = plan.grid if self.assistants is None else self.assistants
        for scale in given:
            plan.check_scale('method.assistants', scale)
        scales = [scale for scale in given if scale > plan.student]
        if not scales:
            raise ValueError(f'method.assistants leaves none for the student of scale {plan.student}, got '
                             f'{list(given)}; name one above it')
        return sorted(scales, reverse=self.in_sequence)


def from_refit(plan: Plan, scales: Sequence[float]) -> Callable[..., str]:
    """Lay the refit of the student and of assistants, where one is configured.

    Returns:
        Function ``distil(name, teacher, into, **options)``, :meth:`Plan.distil` into one of these: from its refit
        weights, or without a refit from those of its first teacher.
    """
    refit = plan.refit('refit', [plan.student, *scales])

    def distil(name: str, teacher: str | Sequence[str], into: float, **options) -> str:
        return plan.distil(name, **{'start': plan.start(refit, into), **options}, teacher=teacher, into=into)

    return distil


def assistant(scale: float) -> str:
    """Name of the stage that trains the assistant of a scale."""
    return f'assistant_{scale_key(scale)}'
