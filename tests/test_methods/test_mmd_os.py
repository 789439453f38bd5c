"""Assistants trained apart, of which the rule chooses one."""

import pytest

from mmamd.methods.mmd_os import MMDOS
from mmamd.visualization import make_pictures, read_run
from mmamd.weights.networks import find_network


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


def test_a_run_reports_its_choice_and_costs_what_it_computes(run_small, tmp_path):
    summary, counted = run_small(**{'method.type': 'mmamd.MMDOS'})
    assert summary['cost']['trainings'] == len(counted) == 3
    assert {name: summary['stages'][name]['macs'] for name in counted} == counted
    found, = summary['selections']
    assert (found['rule'], [each['name'] for each in found['candidates']]) == (
        'npsd', ['assistant_0.50', 'assistant_0.75'])
    chosen = find_network(tmp_path / 'run', 'select')
    assert chosen == find_network(tmp_path / 'run', found['chosen']['name'])
    names = [picture.name for picture in make_pictures(read_run(tmp_path / 'run'))[0]]
    assert names == ['selection', 'examples', 'importance', 'kept', 'loss_assistant_0.50', 'loss_assistant_0.75',
                     'loss_student', 'cost']
