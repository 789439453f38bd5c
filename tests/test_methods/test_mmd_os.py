"""Assistants trained apart, of which the rule chooses one."""

import pytest

from mmamd.methods.mmd_os import MMDOS


def test_every_assistant_is_taught_by_the_teacher_and_the_chosen_one_teaches_the_student(lay):
    stages = lay(MMDOS(assistants=(0.75, 0.5)))
    assert list(stages) == ['score', 'nest', 'assistant_0.50', 'assistant_0.75', 'select', 'student', 'export']
    assert all(stages[f'assistant_{key}'].teachers == ('nest',) for key in ('0.50', '0.75'))
    select, student = stages['select'], stages['student']
    assert (select.candidates, select.are_slices, select.reference, select.above, select.rule.rule) == (
        ('assistant_0.50', 'assistant_0.75'), False, 'nest', 0.3, 'npsd')
    assert (student.teachers, student.start, student.into) == (('select',), 'select', (0.3,))
    assert stages['export'].shown == {'teacher': 'nest', 'assistant': 'select'}


@pytest.mark.parametrize('hooks, message', [
    ([], r'expected one NPSDSelectionHook in custom_hooks to choose the assistant, got 0; add dict\('),
    ([dict(type='mmamd.NPSDSelectionHook', reference='full')], "'select' judges are separate networks"),
    # A candidate, but none of those that are trained.
    ([dict(type='mmamd.NPSDSelectionHook', rule='manual', scale=0.75)], 'one of the eligible scales 0.50')])
def test_a_rule_that_cannot_choose_among_them_is_refused(lay, hooks, message):
    with pytest.raises(ValueError, match=message):
        lay(MMDOS(assistants=(0.5,)), custom_hooks=hooks)
