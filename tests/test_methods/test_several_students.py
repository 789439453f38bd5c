"""A run of several students: what is laid once for all, what is each student's own, and what cannot be shared."""

from dataclasses import dataclass

import pytest

from mmamd.methods import AMD, KD, Method
from mmamd.methods.dgkd import DGKD
from mmamd.methods.joint_manual import JointManual
from mmamd.methods.mmd import MMD
from mmamd.methods.mmd_os import MMDOS
from mmamd.methods.multi_teacher import MultiTeacher
from mmamd.methods.takd import TAKD
from mmamd.pipeline.shares import shares_of_students
from mmamd.pipeline.stages.budget import plain_run

# The grid of the tiny config is 0.25, 0.50, 0.75; with these the family is 0.25, 0.40, 0.50, 0.75.
SEVERAL = {'compression.student_scale': [0.4, 0.25]}
REFIT = {'compression.refit': dict(num_images=64, num_images_candidates=32)}


def test_one_joint_stage_a_choice_and_a_student_for_each(lay):
    stages = lay(AMD(), **SEVERAL)
    assert list(stages) == ['score', 'nest', 'joint', 'select_0.40', 'student_0.40', 'select_0.25', 'student_0.25',
                            'export']
    assert stages['nest'].scales == [0.25, 0.4, 0.5, 0.75]
    assert stages['joint'].into == (0.25, 0.4, 0.5, 0.75)
    assert [stages[f'select_{each}'].above for each in ('0.40', '0.25')] == [0.4, 0.25]
    assert (stages['student_0.40'].teachers, stages['student_0.40'].into) == (('select_0.40',), (0.4,))
    assert stages['export'].delivered == ('student_0.25', 'student_0.40')
    assert stages['export'].shown == {'teacher': 'nest', 'assistant 1': 'select_0.25', 'assistant 2': 'select_0.40'}


def test_candidates_are_judged_once_and_chosen_among_by_each_student(planned):
    context = planned(AMD(), **SEVERAL)
    first, second = (stage for stage in context.stages if stage.kind == 'select')
    assert (first.table, second.table) == (None, 'select_0.40')
    assert second.macs(context) == 0. < first.macs(context)
    assert 'select_0.40/selection.json' in second.files()


def test_one_refit_stage_of_all_candidates_and_one_of_each_student_with_its_assistant(lay):
    stages = lay(AMD(), **SEVERAL, **REFIT)
    assert list(stages)[2:5] == ['refit', 'select_0.40', 'refit_final_0.40']
    assert stages['refit'].into == (0.25, 0.4, 0.5, 0.75)
    final = stages['refit_final_0.25']
    assert (final.into, final.chosen) == ((0.25,), {'assistant': 'select_0.25'})
    assert stages['student_0.25'].start == 'refit_final_0.25@0.25'


def test_a_second_round_is_each_students_own(lay):
    stages = lay(AMD(num_assistants=2), **SEVERAL)
    assert stages['joint_2_0.40'].into == (0.4, 0.5, 0.75) and stages['joint_2_0.25'].into == (0.25, 0.4, 0.5, 0.75)
    assert stages['joint_2_0.25'].teachers == ('select_0.25',)
    assert [stages[f'select_0.{each}'].above for each in (40, 25)] == [0.5, 0.4]
    assert stages['select_2_0.25'].candidates == ('joint_2_0.25',) and stages['select_2_0.25'].table is None


def test_plain_distillation_shares_the_refit_alone(lay):
    stages = lay(KD(), **SEVERAL, **REFIT)
    assert list(stages)[2:] == ['refit', 'student_0.40', 'student_0.25', 'export']
    assert stages['refit'].into == (0.25, 0.4)
    assert [stages[f'student_{each}'].start for each in ('0.40', '0.25')] == ['refit@0.40', 'refit@0.25']


@pytest.mark.parametrize('method', [TAKD(), DGKD()])
def test_in_a_sequence_a_larger_student_is_the_assistant_of_the_smaller_one(lay, method):
    stages = lay(method, **SEVERAL, **REFIT)
    assert list(stages)[3:] == ['assistant_0.75', 'assistant_0.50', 'student_0.40', 'student_0.25', 'export']
    assert stages['student_0.25'].teachers[0] == 'student_0.40'
    assert stages['export'].delivered == ('student_0.25', 'student_0.40')


@pytest.mark.parametrize('method, own', [
    (MMD(assistants=(0.4, 0.5)), ['student_0.50_0.40', 'select_0.40', 'assistant_0.40', 'student_0.40_0.25',
                                  'student_0.50_0.25', 'select_0.25']),
    (MMDOS(assistants=(0.4, 0.5)), ['select_0.40', 'student_0.40', 'assistant_0.40', 'select_0.25', 'student_0.25']),
    (JointManual(assistants=(0.5,)), ['student_0.50_0.40', 'select_0.40', 'student_0.50_0.25', 'select_0.25']),
    (MultiTeacher(assistants=(0.5,)), ['student_0.50_0.40', 'student_0.40', 'student_0.50_0.25', 'student_0.25'])])
def test_every_method_delivers_each_student_and_shares_what_is_not_its_own(lay, method, own):
    stages = lay(method, **SEVERAL)
    shared = 'joint' if isinstance(method, JointManual) else 'assistant_0.50'
    assert list(stages)[2:] == [shared, *own, 'export']
    assert [each[-4:] for each in stages['export'].delivered] == ['0.25', '0.40']


@dataclass(frozen=True)
class Halfway(Method):
    """A stage that depends on the student, under a name that does not say so."""

    def lay(self, plan):
        halfway = plan.distil('halfway', teacher=plan.teacher, into=plan.grid[0])
        return plan.distil('student', teacher=halfway, into=plan.student),


def test_what_cannot_be_shared_is_refused_by_name(lay):
    assert list(lay(Halfway()))[2:] == ['halfway', 'student', 'export']
    with pytest.raises(ValueError, match="two stages of the name 'halfway'; each needs a name that says its scale"):
        lay(Halfway(), **SEVERAL)
    with pytest.raises(ValueError, match=r'method.assistants leaves none for the student of scale 0.4, got \[0.4\]'):
        lay(TAKD(assistants=(0.4,)), **SEVERAL)
    with pytest.raises(ValueError, match=r'search finds terms for one student.*\[0.4, 0.25\] makes several'):
        lay(KD(), search=dict(type='mmamd.KDZeroSearch'), **SEVERAL)


def test_a_list_of_one_is_the_student_itself(lay):
    one, listed = (lay(AMD(), **{'compression.student_scale': given}) for given in (0.3, [0.3]))
    assert one == listed


def test_the_budgets_unit_is_plain_distillation_of_every_student(planned):
    units = [plain_run(planned(KD(), **{'compression.student_scale': given})) for given in (0.25, 0.4, [0.25, 0.4])]
    context = planned(KD())
    scoring = context.stages[0].macs(context)
    assert units[2] == pytest.approx(units[0] + units[1] - scoring)


def test_the_cost_of_a_run_is_shared_out_to_its_students(planned):
    context = planned(AMD(), **SEVERAL)
    spent = {'score': 10., 'nest': 0., 'joint': 100., 'select_0.40': 6., 'student_0.40': 40., 'select_0.25': 0.,
             'student_0.25': 30., 'export': 4.}
    small, large = shares_of_students(context.stages, ['student_0.25', 'student_0.40'], spent)
    # The measurements of select_0.40 are those that both choose by: (10 + 100 + 6 + 4) / 2 for each.
    assert (small, large) == (60. + 30., 60. + 40.)


# --- a size that the run finds ---

AUTO = {'compression.student_scale': 'auto', 'compression.keep': 0.9}


def test_a_size_is_chosen_by_the_first_candidates_that_a_method_makes(lay):
    by_refit, by_joint = lay(KD(), **AUTO, **REFIT), lay(AMD(), **AUTO)
    assert list(by_refit)[2:] == ['refit', 'size', 'student_0.25', 'verify_0.25', 'export']
    assert by_refit['refit'].into == by_joint['joint'].into == (0.25, 0.5, 0.75)
    assert list(by_joint)[2:] == ['joint', 'size', 'select_0.25', 'student_0.25', 'verify_0.25', 'export']
    size = by_joint['size']
    assert (size.candidates, size.are_slices, size.sizes, size.keep) == (('joint',), True, (0.25, 0.5), 0.9)
    assert by_joint['select_0.25'].table == 'size', 'the candidates are judged once'
    verify = by_joint['verify_0.25']
    assert (verify.candidates, verify.reference, list(verify.images)) == (('student_0.25',), 'nest', ['val'])


def test_the_next_size_is_laid_behind_the_one_that_was_tried_and_is_what_is_delivered(planned):
    context = planned(AMD(), **AUTO, **REFIT)
    first = list(context.stages)
    context.students = (0.25, 0.5)
    again = context.settings.method.stages(context)
    assert again[:len(first) - 1] == first[:-1], 'what has been carried out stays'
    assert [stage.name for stage in again[len(first) - 1:]] == [
        'select_0.50', 'refit_final_0.50', 'student_0.50', 'verify_0.50', 'export']
    assert again[-1].delivered == ('student_0.50',) and again[-1].shown['assistant'] == 'select_0.50'
    context.students = (0.25,)


def test_a_size_needs_candidates(lay):
    with pytest.raises(ValueError, match="'auto' chooses by candidates, and the method KD makes none before its "
                                         r'student; set compression.refit=dict\(num_images=3072\)'):
        lay(KD(), **AUTO)


def test_a_latency_decides_before_anything_is_trained(lay):
    stages = lay(AMD(), **{'compression.student_scale': 'auto', 'compression.latency': '2ms'})
    assert list(stages) == ['score', 'nest', 'size', 'joint', 'select', 'student', 'export']
    assert (stages['size'].kind, stages['size'].sizes) == ('latency', (0.25, 0.5))
    assert stages['size'].latency == dict(most='2ms', batch_size=1, runtime='onnxruntime')
