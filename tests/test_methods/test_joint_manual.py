"""A student from every candidate of the joint stage."""

from mmamd.methods import AMD
from mmamd.methods.joint_manual import JointManual


def test_the_joint_stage_is_that_of_amd_and_each_candidate_teaches_a_student(lay):
    stages = lay(JointManual())
    assert list(stages) == ['score', 'nest', 'joint', 'student_0.50', 'student_0.75', 'select', 'export']
    assert stages['joint'] == lay(AMD())['joint']
    laid = [(stages[f'student_{key}'].teachers, stages[f'student_{key}'].start) for key in ('0.50', '0.75')]
    assert laid == [(('joint@0.50',), 'joint@0.50'), (('joint@0.75',), 'joint@0.75')]
    assert (stages['select'].rule.rule, stages['select'].above) == ('best', None)
    assert stages['export'].delivered == ('select',)


def test_with_a_refit_it_is_that_of_amd_which_starts_from_the_smallest_made_good(lay):
    refit = {'compression.refit': {}}
    stages, amd = lay(JointManual(assistants=(0.5,)), **refit), lay(AMD(start='smallest'), **refit)
    assert (stages['refit'], stages['joint']) == (amd['refit'], amd['joint'])
    assert [name for name in stages if name.startswith('student')] == ['student_0.50']
