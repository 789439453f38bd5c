"""What methods lay: which stages, who teaches whom, what is delivered; and what a plan refuses."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import mmamd
from mmamd.distillation.losses.distpro import Process
from mmamd.distillation.losses.distpro.pathways import lay_pathways
from mmamd.methods import AMD, KD, Method
from mmamd.registry import METHODS


def test_amd_trains_jointly_chooses_and_distils(lay):
    stages = lay(AMD())
    assert list(stages) == ['score', 'nest', 'joint', 'select', 'student', 'export']
    joint, select, student = stages['joint'], stages['select'], stages['student']
    assert (joint.teachers, joint.start, joint.into, joint.section) == (('nest',), 'nest', (0.3, 0.5, 0.75), 'joint')
    assert (select.candidates, select.are_slices, select.reference, select.above) == (('joint',), True, 'nest', 0.3)
    assert (student.teachers, student.start, student.into, student.sampler) == (('select',), 'select', (0.3,), None)
    assert joint.sampler is not None and stages['export'].delivered == ('student',)
    assert stages['export'].shown == {'teacher': 'nest', 'assistant': 'select'}


def test_a_second_assistant_is_chosen_below_the_first_and_leaves_none_for_it(lay):
    stages = lay(AMD(num_assistants=2))
    assert list(stages)[2:] == ['joint', 'select', 'joint_2', 'select_2', 'student', 'export']
    assert [stages[name].above for name in ('select', 'select_2')] == [0.5, 0.3]
    assert (stages['joint_2'].teachers, stages['select_2'].reference) == (('select',), 'select')
    with pytest.raises(ValueError, match=r'num_assistants=3 needs as many candidates.*got the scales \[0.5, 0.75\]'):
        lay(AMD(num_assistants=3))


def test_plain_distillation_is_one_training(lay):
    stages = lay(KD())
    assert list(stages) == ['score', 'nest', 'student', 'export']
    assert (stages['student'].teachers, stages['student'].start) == (('nest',), 'nest')


def test_a_pretraining_hands_its_terms_to_the_distillation_after_it(lay, tiny_config, tmp_path):
    pretrain = dict(train_cfg=dict(max_epochs=1), losses=dict(ce=dict(weight=0.)), trains='losses')
    stages = lay(KD(), pretrain=pretrain)
    assert list(stages)[2:] == ['pretrain_student', 'student', 'export']
    first, second = stages['pretrain_student'], stages['student']
    assert (first.trains, first.losses['ce']['weight'], second.losses['ce'].get('weight', 1)) == ('losses', 0., 1)
    assert (second.terms_from, second.start) == ('pretrain_student', 'nest')
    trained = lay(KD(), pretrain=dict(pretrain, trains='student'))['student']
    assert (trained.terms_from, trained.start) == ('pretrain_student', 'pretrain_student')
    with pytest.raises(ValueError, match="pretrain.trains must be 'student' or 'losses', got 'both'"):
        mmamd.compress(tiny_config(**{'method.type': 'mmamd.KD'}, pretrain=dict(pretrain, trains='both')),
                       work_dir=tmp_path / 'run')


def test_hooks_of_a_section_take_the_place_of_those_at_the_top(lay, tiny_config):
    timer = dict(type='IterTimerHook')
    hooks = [*tiny_config().custom_hooks, dict(type='EMAHook')]
    stages = lay(AMD(), custom_hooks=hooks, **{'joint.custom_hooks': [timer]})
    assert stages['joint'].hooks == [timer]
    assert stages['student'].hooks == [dict(type='EMAHook')]


def test_losses_of_a_section_are_merged_over_those_of_the_model(lay):
    stages = lay(AMD(), **{'joint.losses': dict(feat=dict(weight=0.)), 'student.losses': dict(
        dist=dict(type='mmamd.DISTLoss'), logit=dict(_delete_=True, type='mmamd.DKDLoss'))})
    assert stages['joint'].losses['feat'] == dict(type='mmamd.FeatureLoss', weight=0.)
    assert set(stages['student'].losses) == {'ce', 'logit', 'feat', 'dist'} and 'dist' not in stages['joint'].losses
    assert stages['student'].losses['logit'] == dict(type='mmamd.DKDLoss')


# --- AMD from refit weights, and with a tuned assistant ---

def test_a_joint_stage_may_start_from_the_refit_of_the_smallest_candidate_or_of_all(lay):
    smallest = lay(AMD(start='smallest'), **{'compression.refit': {}})
    assert list(smallest)[2:] == ['refit', 'joint', 'select', 'student', 'export']
    assert (smallest['refit'].into, smallest['refit'].sharing) == ((0.3,), None)
    assert smallest['joint'].start == 'refit@0.30'
    nested, together = (lay(AMD(start=start), **{'compression.refit': {}}) for start in ('nested', 'together'))
    for stages, sharing in ((nested, 'nested'), (together, 'together')):
        assert (stages['refit'].into, stages['refit'].sharing) == ((0.3, 0.5, 0.75), sharing)
        assert stages['joint'].start == 'refit@1.00'
    for stages in (smallest, nested, together):
        assert stages['refit'].num_images == 163, 'of all that are asked for, those that there are'
        assert stages['joint'].teachers == ('nest',) and stages['joint'].into == (0.3, 0.5, 0.75)
        assert (stages['student'].teachers, stages['student'].start) == (('select',), 'select')


def test_only_the_first_joint_stage_starts_from_refit_weights(lay):
    stages = lay(AMD(start='nested', num_assistants=2), **{'compression.refit': {}})
    assert (stages['joint'].start, stages['joint_2'].start) == ('refit@1.00', 'select')


def test_a_joint_stage_as_published_is_not_touched_by_a_refit(lay):
    plain, refitted = lay(AMD()), lay(AMD(candidates='joint'), **{'compression.refit': {}})
    assert list(plain) == list(refitted) == ['score', 'nest', 'joint', 'select', 'student', 'export']
    assert plain['joint'] == refitted['joint']


def test_candidates_are_refit_where_a_refit_is_configured_unless_an_option_asks_for_a_joint_stage(lay):
    def third(**options):
        return list(lay(AMD(**options), **{'compression.refit': {}}))[2:4]

    assert third() == ['refit', 'select']
    assert third(start='smallest') == ['refit', 'joint']
    assert third(num_assistants=2) == ['joint', 'select']


@pytest.mark.parametrize('options, first', [(dict(candidates='joint'), 'joint'), (dict(candidates='refit'), 'refit')])
def test_the_chosen_assistant_is_tuned_before_it_teaches(lay, options, first):
    stages = lay(AMD(tune_epochs=2, **options), **{'compression.refit': {}})
    tune, student = stages['tune'], stages['student']
    start = 'select' if first == 'joint' else 'refit_final@assistant'
    assert list(stages)[2] == first and list(stages)[-3:] == ['tune', 'student', 'export']
    assert (tune.teachers, tune.into, tune.start, tune.sampler) == (('nest',), ('select',), start, None)
    assert (tune.section, tune.recipe_epochs, tune.losses) == ('student', 2, student.losses)
    assert student.teachers == ('tune',) and student.recipe_epochs == 3
    assert student.start == ('select' if first == 'joint' else 'refit_final@0.30')


def test_every_assistant_on_the_way_is_tuned_by_its_own_teacher(lay):
    stages = lay(AMD(tune_epochs=1, num_assistants=2))
    assert list(stages)[2:] == ['joint', 'select', 'tune', 'joint_2', 'select_2', 'tune_2', 'student', 'export']
    assert (stages['joint_2'].teachers, stages['joint_2'].start) == (('tune',), 'select')
    assert (stages['tune_2'].teachers, stages['tune_2'].into) == (('tune',), ('select_2',))
    assert (stages['select_2'].reference, stages['student'].teachers) == ('tune', ('tune_2',))


def test_the_schedule_of_a_tuning_is_the_students_made_short(lay):
    schedulers = [dict(type='LinearLR', by_epoch=True, begin=0, end=10), dict(
        type='CosineAnnealingLR', by_epoch=True, begin=10, end=100, T_max=90)]
    section = {'student': dict(train_cfg=dict(max_epochs=100), param_scheduler=schedulers)}
    tunings = {epochs: lay(AMD(tune_epochs=epochs), **section)['tune'].schedule for epochs in (1, 20)}
    assert tunings[20]['param_scheduler'] == [
        dict(schedulers[0], end=2), dict(schedulers[1], begin=2, end=20, T_max=18)]
    # A tenth of an epoch to warm up in would be rounded to all there is.
    assert tunings[1]['param_scheduler'] == [dict(schedulers[1], begin=0, end=1, T_max=1)]
    assert tunings[1]['train_cfg'] == dict(lay(AMD(), **section)['student'].schedule['train_cfg'], max_epochs=1)


def test_a_pretraining_comes_before_a_tuning_too(lay):
    pretrain = dict(train_cfg=dict(max_epochs=1), losses=dict(ce=dict(weight=0.)), trains='losses')
    stages = lay(AMD(tune_epochs=1), pretrain=pretrain)
    assert (stages['pretrain_tune'].into, stages['tune'].terms_from) == (('select',), 'pretrain_tune')


@pytest.mark.parametrize('options, message', [
    (dict(start='refit'), "method.start must be one of 'none', 'smallest', 'nested', 'together', got"),
    (dict(start='nested', candidates='refit'), "method.start='nested' says where a joint stage starts, and there is "
                                               "none with method.candidates='refit'; set method.candidates='joint'"),
    (dict(tune_epochs=-1), 'method.tune_epochs must be an integer of at least 0, got -1; 1 or 2 are usual'),
    (dict(tune_epochs=True), 'method.tune_epochs must be an integer of at least 0, got True'),
    (dict(tune_epochs=0.5), 'method.tune_epochs must be an integer of at least 0, got 0.5')])
def test_options_of_amd_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AMD(**options)


@pytest.mark.parametrize('start', ['smallest', 'nested', 'together'])
def test_a_start_from_refit_weights_needs_a_refit(lay, start):
    with pytest.raises(ValueError, match=f"method.start='{start}' starts the joint stage from refit weights and needs "
                                         r"compression.refit, e.g. dict\(num_images=3072\), got None; or set "
                                         "method.start='none'"):
        lay(AMD(start=start))


# --- what is refused ---

@dataclass(frozen=True)
class Wrong(Method):
    what: str

    def lay(self, plan):
        if self.what == 'unknown reference':
            return plan.distil('student', teacher='assistent', into=plan.student),
        if self.what == 'two of one name':
            plan.distil('student', teacher=plan.teacher, into=0.5)
            return plan.distil('student', teacher=plan.teacher, into=plan.student),
        if self.what == 'no tuple':
            return plan.distil('student', teacher=plan.teacher, into=plan.student)
        if self.what == 'off the grid':
            plan.distil('assistant', teacher=plan.teacher, into=0.55)
        students = [plan.distil(f'student_{i}', teacher=plan.teacher, into=plan.student) for i in range(2)]
        return plan.select('select', students),


@pytest.mark.parametrize('what, overrides, message', [
    ('no tuple', {}, "returns a tuple of references to the networks that it delivers, at least one; got 'student'"),
    ('off the grid', {}, r"into of the stage 'assistant' names the scale 0.55, which is no candidate; expected some of "
                         r'\[0.3, 0.5, 0.75\]'),
    ('unknown reference', {}, "stage 'student' of this method reads 'assistent', which no stage before it makes; there "
                              r"are \['nest', 'score'\]"),
    ('two of one name', {}, "lays two stages of the name 'student'; each needs a name of its own"),
    ('separate networks', {'custom_hooks': [dict(type='mmamd.NPSDSelectionHook', reference='full')]},
     "reference='full' is the shared network with all units, and what 'select' judges are separate networks"),
    ('separate networks', {}, "rule 'npsd' compares networks by their scales, and those of 'select' have one")])
def test_a_method_that_cannot_be_carried_out_is_refused_before_it_begins(lay, what, overrides, message):
    with pytest.raises(ValueError, match=message):
        lay(Wrong(what), **overrides)


@pytest.mark.parametrize('method, message', [
    (dict(type='mmamd.AMDD'), "there is no method 'mmamd.AMDD'. Did you mean mmamd.AMD"),
    (dict(type='mmamd.KD', num_assistants=1), "method has no key 'num_assistants'.*method._delete_=True"),
    (dict(type='mmamd.AMD', num_assistants=0), "num_assistants must be an integer of at least 1, got 0; without an "
                                               "assistant .*method.type='mmamd.KD'"),
    (dict(type='mmamd.AMD', num_assistants='2'), 'must be an integer'),
    ({}, 'there is no method None')])
def test_a_section_that_names_no_method_is_refused_with_what_to_do(tiny_config, tmp_path, method, message):
    with pytest.raises(ValueError, match=message):
        mmamd.compress(tiny_config(method=dict(_delete_=True, **method)), work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_methods_are_found_by_their_files():
    assert {'AMD', 'KD'} <= set(METHODS.module_dict)


# --- what methods may do beside AMD ---

@METHODS.register_module(force=True)
@dataclass(frozen=True)
class Peers(Method):
    """A network teaches one of its own scale, and two students are delivered."""

    def lay(self, plan):
        first = plan.distil('first', teacher=plan.teacher, into=0.5)
        second = plan.distil('second', teacher=first, into=0.5)
        return tuple(plan.distil(f'student_{i}', teacher=second, into=plan.student) for i in range(2))


def test_several_students_of_one_scale_are_delivered_apart(tiny_config, tmp_path):
    summary = mmamd.compress(tiny_config(**{'method.type': 'mmamd.Peers', 'student.train_cfg.max_epochs': 1,
                                            'visualizer': None}), work_dir=tmp_path)
    assert [student['name'] for student in summary['students']] == ['student_0', 'student_1']
    paths = [Path(student['path']) for student in summary['students']]
    assert paths == [tmp_path / 'student' / f'student_{i}' / 'student.pth' for i in range(2)]
    states = [torch.load(path, weights_only=True)['state_dict'] for path in paths]
    assert any(not torch.equal(value, states[1][key]) for key, value in states[0].items())
    with pytest.raises(FileNotFoundError, match='delivers several students, student_0, student_1; each is a config.py'):
        mmamd.load_student(tmp_path)


@pytest.mark.slow
def test_a_run_of_other_options_of_its_method_is_refused_or_redone(tiny_config, tmp_path):
    short = {'joint.train_cfg.max_epochs': 1, 'student.train_cfg.max_epochs': 1, 'visualizer': None}
    mmamd.compress(tiny_config(**short, **{'method.num_assistants': 2}), work_dir=tmp_path)
    with pytest.raises(ValueError, match=r"holds the stages \['joint_2', 'select_2'\] of other options of AMD, which "
                                         'this AMD does not have; give another --work-dir, or redo with --start-from'):
        mmamd.compress(tiny_config(**short), work_dir=tmp_path)
    summary = mmamd.compress(tiny_config(**short, start_from='select'), work_dir=tmp_path)
    assert list(summary['stages']) == ['score', 'nest', 'joint', 'select', 'student', 'export']
    assert not (tmp_path / 'joint_2').exists()


def test_a_student_that_is_being_made_anew_is_not_the_old_one(tiny_config, tmp_path, monkeypatch):
    short = {'student.train_cfg.max_epochs': 1, 'method.type': 'mmamd.MMD', 'method.assistants': [0.5],
             'visualizer': None}
    mmamd.compress(tiny_config(**short), work_dir=tmp_path)
    mmamd.load_student(tmp_path)
    from mmamd.pipeline.stages import Select
    monkeypatch.setattr(Select, 'carry_out', lambda *_: pytest.fail('interrupted'))
    with pytest.raises(pytest.fail.Exception):
        mmamd.compress(tiny_config(**short, start_from='select'), work_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match='has not exported its student'):
        mmamd.load_student(tmp_path)


# --- refit ---

REFIT = dict(num_images=64, num_images_candidates=32)


def test_amd_with_refit_candidates_trains_nothing_but_the_student(lay):
    stages = lay(AMD(candidates='refit'), **{'compression.refit': REFIT})
    assert list(stages) == ['score', 'nest', 'refit', 'select', 'refit_final', 'student', 'export']
    judged, select, final, student = (stages[name] for name in ('refit', 'select', 'refit_final', 'student'))
    assert (judged.into, judged.num_images, judged.chosen) == ((0.3, 0.5, 0.75), 32, {})
    assert (select.candidates, select.are_slices, select.above) == (('refit',), False, 0.3)
    assert (final.into, final.num_images, final.chosen) == ((0.3,), 64, {'assistant': 'select'})
    assert (student.teachers, student.start) == (('refit_final@assistant',), 'refit_final@0.30')


def test_plain_distillation_starts_from_the_same_refit_weights(lay):
    stages = lay(KD(), **{'compression.refit': REFIT})
    assert list(stages) == ['score', 'nest', 'refit', 'student', 'export']
    assert (stages['refit'].into, stages['refit'].num_images) == ((0.3,), 64)
    assert (stages['student'].teachers, stages['student'].start) == (('nest',), 'refit@0.30')


def test_refit_candidates_need_a_refit(lay):
    with pytest.raises(ValueError, match="method.candidates='refit' needs compression.refit, e.g. dict"):
        lay(AMD(candidates='refit'))


@pytest.mark.parametrize('options, message', [
    (dict(candidates='cut'), "method.candidates must be one of 'joint', 'refit', or None, got 'cut'"),
    (dict(candidates='refit', num_assistants=2), 'method.num_assistants=2 needs candidates that each assistant')])
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AMD(**options)


@pytest.mark.parametrize('refit, message', [
    (dict(images=3), "compression.refit has no key 'images'. Did you mean num_images"),
    (dict(num_images=0), 'compression.refit.num_images must be a positive integer, got 0'),
    (dict(ridge=0.), 'compression.refit.ridge must be a finite number above 0, got 0.0; '),
    (dict(classifier='yes'), "compression.refit.classifier must be True or False, got 'yes'")])
def test_a_refit_that_cannot_be_is_refused(lay, refit, message):
    with pytest.raises(ValueError, match=message):
        lay(KD(), **{'compression.refit': refit})


def test_a_choice_that_is_still_to_be_made_is_planned_in_the_middle_of_what_it_can_be(planned):
    # Of 0.7, 0.8 and 0.9 the first assistant leaves one for the second, which lies between it and the student.
    context = planned(AMD(num_assistants=2), **{'compression.student_scale': 0.6, 'compression.num_candidates': 9})
    assert (context.scale_of('select'), context.scale_of('select_2')) == (0.8, 0.7)
    macs = {stage.name: stage.macs(context) / context.teacher_cost.macs for stage in context.stages}
    images = 3 * 163  # of 3 epochs
    # The smallest candidate and a drawn one: 0.6 and 0.7 are what the first assistant can teach.
    assert macs['joint_2'] == pytest.approx(images * (0.8 + 3 * (0.6 + 0.7)))
    assert macs['student'] == pytest.approx(images * (0.7 + 3 * 0.6))


def test_a_single_refit_candidate_beside_a_student_of_another_architecture_can_be_judged(planned):
    other = dict(type='ImageClassifier', backbone=dict(type='mmamd.CifarResNet', depth=8),
                 head=dict(type='LinearClsHead', num_classes=10, in_channels=64))
    context = planned(AMD(), **{'compression.refit': {}, 'compression.scales': [0.75],
                                'compression.student_architecture': other})
    assert context.scale_of('select') == context.scale_of('refit') == 0.75


def test_a_file_that_a_term_reads_is_an_input_of_the_stages_that_have_it(lay, tmp_path):
    file, weights = tmp_path / 'process.json', ((1., 1., 1.), (0.5, 1., 1.))
    Process(('a', 'b'), ('c', 'd'), lay_pathways('student_ge_teacher', 2), (0, 9), weights, weights).write(file)
    stages = lay(KD(), **{'model.losses.process': dict(type='mmamd.ProcessLoss', file=str(file), layers=[0, 2])})
    assert str(file) in stages['student'].files()
    assert str(file) not in lay(KD())['student'].files()
