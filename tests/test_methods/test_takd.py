"""Assistants in sequence."""

from mmamd.methods.takd import TAKD


def test_each_assistant_is_taught_by_the_one_before_and_starts_from_it(lay):
    stages = lay(TAKD())
    assert list(stages) == ['score', 'nest', 'assistant_0.75', 'assistant_0.50', 'student', 'export']
    laid = [(stages[name].teachers, stages[name].start, stages[name].into) for name in list(stages)[2:5]]
    assert laid == [(('nest',), 'nest', (0.75,)), (('assistant_0.75',), 'assistant_0.75', (0.5,)),
                    (('assistant_0.50',), 'assistant_0.50', (0.3,))]
    assert stages['export'].delivered == ('student',)
