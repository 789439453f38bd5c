"""Which level of the student is taught by which level of the teacher. Levels are numbered from 0, from low to high."""

from collections.abc import Sequence
from typing import NamedTuple

TRANSFORMS = ('auto', 'cnn', 'transformer')
RULES = {
    # The authors' code: a student's level is taught by the teacher's levels that are not above it, as by ReviewKD.
    'student_ge_teacher': lambda teacher, student: student >= teacher,
    'teacher_ge_student': lambda teacher, student: teacher >= student,
    'all': lambda teacher, student: True}


class Pathway(NamedTuple):
    """One level of the teacher, one of the student, and what leads from the student's to the teacher's.

    Attributes:
        teacher, student: Numbers of the levels.
        transform: ``'cnn'``, ``'transformer'``, or ``'auto'`` for what fits the states.
    """

    teacher: int
    student: int
    transform: str = 'auto'

    @property
    def name(self) -> str:
        """``'t1-s2'``, and its transform where one is named: ``'t1-s2/cnn'``."""
        return f't{self.teacher}-s{self.student}' + (f'/{self.transform}' if self.transform != 'auto' else '')


def lay_pathways(rule: str | Sequence[Sequence], num_levels: int) -> tuple[Pathway, ...]:
    """The pathways between the levels of two networks.

    Args:
        rule: ``'student_ge_teacher'``, ``'teacher_ge_student'`` or ``'all'``; or the pathways themselves, each
            ``(teacher, student)`` or ``(teacher, student, transform)``.
        num_levels: Levels of each network.

    Returns:
        By a rule those of the teacher's lowest level first, n (n + 1) / 2 of n levels (n^2 by ``'all'``); pathways as
        they are given.

    Raises:
        ValueError: There is none, one twice, or one between levels that there are not.
    """
    check_rule(rule)
    if isinstance(rule, str):
        return tuple(Pathway(teacher, student) for teacher in range(num_levels) for student in range(num_levels)
                     if RULES[rule](teacher, student))
    pathways = tuple(Pathway(*each) for each in rule)
    outside = next((each for each in pathways if max(each.teacher, each.student) >= num_levels), None)
    if outside is not None:
        raise ValueError(f'the pathway {outside.name} needs a level that is not there; expected numbers within '
                         f'0..{num_levels - 1}, of the levels that layers names')
    return pathways


def check_rule(rule: str | Sequence[Sequence]) -> None:
    """Raise ValueError unless it is the name of a rule, or different pathways, at least one."""
    if not isinstance(rule, str) or rule not in RULES:
        check_pathways('rule', rule)


def check_pathways(key: str, pathways: Sequence[Sequence]) -> None:
    """Raise ValueError, with the key, unless they are different pathways, at least one."""
    expected = f'expected one of {list(RULES)}, or pathways (teacher, student), e.g. [(0, 0), (0, 1)]'
    if not isinstance(pathways, (list, tuple)):
        raise ValueError(f'{key} must say which pathways there are, got {pathways!r}; {expected}')
    if not pathways:
        raise ValueError(f'{key} leaves no pathway, got {pathways!r}; {expected}')
    for each in pathways:
        if not _is_pathway(each):
            raise ValueError(f'{key} has {each!r}, which is no pathway; {expected}, or with one of {TRANSFORMS} as a '
                             'third')
    names = [Pathway(*each).name for each in pathways]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f'{key} has the pathway {twice} more than once; {expected}')


def _is_pathway(value: Sequence) -> bool:
    return (isinstance(value, (list, tuple)) and len(value) in (2, 3)
            and all(isinstance(level, int) and not isinstance(level, bool) and level >= 0 for level in value[:2])
            and all(transform in TRANSFORMS for transform in value[2:]))
