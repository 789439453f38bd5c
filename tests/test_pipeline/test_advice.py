"""What can run and cannot work well is said, with what to do, once."""

import re

import pytest
import torch.nn as nn
from mmengine.registry import DefaultScope

from mmamd.methods import AMD
from mmamd.pipeline.advice import (
    _of_choices,
    _of_memory,
    advise_before,
    bytes_kept,
    choice_advice,
    far_below,
    length_advice,
    not_said,
    rate_advice,
    rule_advice,
    seen_before,
)
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.state import RunState
from mmamd.selection.choice import choose
from mmamd.structures import Measurement


def schedule(lr=3e-3, base=1024, enable=False, **scheduler):
    return dict(optim_wrapper=dict(optimizer=dict(lr=lr)), auto_scale_lr=dict(base_batch_size=base, enable=enable),
                param_scheduler=[dict(type='LinearLR', **scheduler)] if scheduler else None)


@pytest.mark.parametrize('settings, batch, said', [
    (schedule(), 64, 'meant for steps of 1024 images and a step has 64; add --auto-scale-lr .*lr=0.00019$'),
    (schedule(base=16), 64, 'meant for steps of 16 images and a step has 64;.*lr=0.012$'),
    (schedule(), 512, None), (schedule(enable=True), 64, None), (dict(optim_wrapper=dict(optimizer=dict())), 64, None)])
def test_a_rate_far_from_its_batch_is_said(settings, batch, said):
    found = list(rate_advice(settings, batch))
    assert len(found) == bool(said)
    assert not said or re.search(said, found[0])


@pytest.mark.parametrize('scheduler, epochs, steps, said', [
    (dict(), 10, 19, 'it has 190 steps in all, and fewer than 200 .* train 11 epochs'),
    (dict(), 10, 20, None),
    (dict(by_epoch=False, end=500), 10, 50, 'warm-up of 500 steps is as long as the training, 500; set end= of the '
                                            'LinearLR in param_scheduler to 50'),
    (dict(end=10), 10, 50, 'warm-up of 10 epochs is as long as the training, 10'),
    (dict(end=9), 10, 50, None), (dict(by_epoch=False, end=499), 10, 50, None)])
def test_a_short_training_and_a_long_warm_up_are_said(scheduler, epochs, steps, said):
    found = list(length_advice(schedule(**scheduler), epochs, steps))
    assert len(found) == bool(said)
    assert not said or re.search(said, found[0])


@pytest.mark.parametrize('judging, tested, said', [
    (11, 7, "takes 11% of the run's arithmetic; .*report_test=False .* which spares 7%$"), (10, 7, None),
    (50, 0, None)])  # where the test images are left out already there is nothing to say
def test_a_choice_that_takes_much_of_the_run_is_said(judging, tested, said):
    found = list(choice_advice(judging, tested, 100))
    assert len(found) == bool(said)
    assert not said or re.search(said, found[0])


@pytest.mark.parametrize('rule, are_trained, is_kept, said', [
    ('npsd_cost', True, False, 'the joint stage has been paid for'), ('npsd_cost', False, True, 'asked once a view'),
    ('npsd_cost', False, False, None), ('npsd', True, True, None)])
def test_a_rule_that_spares_where_little_is_to_be_spared_is_said(rule, are_trained, is_kept, said):
    found = list(rule_advice(rule, are_trained, is_kept))
    assert len(found) == bool(said)
    assert not said or said in found[0] and "set rule='npsd' in the NPSDSelectionHook" in found[0]


@pytest.mark.parametrize('largest, is_far', [(0.79 * 0.6, True), (0.81 * 0.6, False)])
def test_a_joint_training_that_has_unlearnt_is_said(largest, is_far):
    selection = choose([Measurement(0.5, 0.3, []), Measurement(0.9, largest, [])], Measurement(1.0, 0.6, []), 0.1)
    found = far_below(selection)
    assert len(found) == is_far
    assert not is_far or 'the largest candidate, 0.90, has 47.4% where the teacher has 60.0%' in found[0]


@pytest.mark.parametrize('held_out, errors, name, is_said', [
    (1.0, [1.0, 1.0], None, True), (0.94, [0.935, 0.945], None, False), (1.0, [0.9, 1.1], None, False),
    (1.0, [1.0, 1.0], 'full', False)])
def test_a_teacher_that_has_seen_the_held_out_images_is_said(held_out, errors, name, is_said):
    """Above its test value of 92 % by 8 points; by 2; within its noise; and a network that is not the teacher."""
    selection = choose([Measurement(0.5, 0.8, [0.79, 0.81])], Measurement(1.0, held_out, errors, name=name), 0.1)
    found = seen_before(selection, 0.92)
    assert len(found) == is_said
    assert not is_said or 'has 100.0% on the held-out images and 92.0% on the test images' in found[0]


def test_what_several_choices_find_is_said_once():
    advice = not_said('select_0.10', ['it is low', 'it is odd'], ['joint: it is short', 'size: it is low'])
    assert advice == ['select_0.10: it is odd']


class Toy(nn.Module):
    """(N, 4) -> (N, 6): the linear layer keeps its input for its weight, the sigmoid its output."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 6)

    def forward(self, x, mode):
        return self.linear(x.view(len(x), 4)).sigmoid()


def test_what_a_step_keeps_is_counted_without_the_weights():
    # 4 inputs and 6 outputs of 4 bytes; a view has the storage of what it is of.
    assert bytes_kept(Toy(), (1, 2, 2)) == 4 * (4 + 6)


def test_a_step_that_the_device_has_no_place_for_is_said(tiny_config, tmp_path):
    cfg = tiny_config()
    context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        context.stages = AMD().stages(context)
        assert _of_memory(context, 1 << 40) == []
        joint, student = _of_memory(context, 1 << 10)
    batch = cfg.train_dataloader.batch_size
    assert re.match(rf'joint: a step of {batch} images takes about 0.0 GiB, and the device has 0.0; set '
                    rf'train_dataloader.batch_size={batch // 2}, or train in mixed precision', joint)
    assert student.startswith('student: ')


def test_the_rule_of_a_plans_choice_is_read(tiny_config, tmp_path):
    cfg = tiny_config()
    cfg.custom_hooks[1].update(rule='npsd_cost', report_test=False)
    context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        context.stages = AMD().stages(context)
        said, = _of_choices(context)
    assert said.startswith("select: rule='npsd_cost' takes a small assistant to spare epochs, and the joint stage")
    cfg.merge_from_dict({'compression.refit': {}, 'teacher_cache': dict(views=1), 'model.losses.feat.weight': 0.})
    context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        context.stages = AMD(candidates='refit').stages(context)
        said, = _of_choices(context)
    assert 'with teacher_cache the assistant is asked once a view' in said


def test_what_a_stage_has_found_is_still_said_when_the_command_is_given_again(tiny_config, tmp_path):
    cfg, state = tiny_config(), RunState(tmp_path)
    context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
    state.content['advice'] = ['joint: it was short']
    state.content['stages']['select'] = dict(kind='select', finished=True, advice=['select: it is low'])
    said = []
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        context.stages = []
        advise_before(context, state, said.append)
    assert RunState(tmp_path).advice == ['select: it is low'] and said == ['advice: select: it is low']
    state.forget(['select'])
    assert RunState(tmp_path).advice == []


def test_the_advice_of_a_run_is_noted_and_shown(finished_run):
    """The tiny run trains 3 epochs of 10 steps, and says so once for both trainings; beside them its choice is dear."""
    from mmamd.pipeline.status import format_status
    from mmamd.visualization import read_run
    work_dir, _ = finished_run
    advice = RunState(work_dir).advice
    assert [text.partition(':')[0] for text in advice if 'it has 30 steps in all' in text] == ['joint, student']
    stages = RunState(work_dir).content['stages']
    share = stages['select']['macs'] / sum(stage['planned_macs'] for stage in stages.values())
    said, = (text for text in advice if 'report_test=False' in text)
    assert said.startswith(f"select: to judge the networks takes {share:.0%} of the run's arithmetic")
    assert read_run(work_dir).advice == advice
    assert all(f'advice: {text}' in format_status(work_dir) for text in advice)
    report = (work_dir / 'report.html').read_text()
    assert report.count('it has 30 steps in all') == 1
