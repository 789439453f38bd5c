"""All who have been taught before teach the next."""

import json

import pytest
from mmengine.registry import DefaultScope

from mmamd.methods import KD
from mmamd.methods.dgkd import DGKD
from mmamd.methods.takd import TAKD

TERM = {'model.losses.dgkd': dict(type='mmamd.DGKDLoss')}


def test_the_teacher_and_all_earlier_assistants_teach_the_next_which_starts_from_the_last(lay):
    stages = lay(DGKD())
    assert list(stages) == ['score', 'nest', 'assistant_0.75', 'assistant_0.50', 'student', 'export']
    laid = [(stages[name].teachers, stages[name].start) for name in list(stages)[2:5]]
    assert laid == [(('nest',), 'nest'), (('assistant_0.75', 'nest'), 'assistant_0.75'),
                    (('assistant_0.50', 'assistant_0.75', 'nest'), 'assistant_0.50')]


def check(context):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for stage in context.stages:
            if stage.kind == 'distil':
                stage.check(context)


@pytest.mark.parametrize('method', [KD(), TAKD()], ids=str)
def test_its_term_is_refused_where_nobody_teaches_beside_another(planned, method):
    with pytest.raises(ValueError, match='losses.dgkd: a DGKDLoss needs earlier assistants beside the teacher, and in '
                                         "each training of this method one network teaches; take method.type='mmamd."
                                         "DGKD', or mmamd.LogitLoss"):
        check(planned(method, **TERM))


def test_its_term_is_for_all_its_trainings_and_leaves_out_fewer_than_teach(planned):
    check(planned(DGKD(), **TERM))
    with pytest.raises(ValueError, match='less than the number of networks that teach, 2, got 2; set num_dropped=1'):
        check(planned(DGKD(), **TERM, **{'model.losses.dgkd.num_dropped': 2}))


def test_what_its_trainings_are_said_to_cost_is_what_they_compute(run_small, tmp_path):
    summary, counted = run_small(**{'method.type': 'mmamd.DGKD'}, **TERM)
    assert summary['cost']['trainings'] == len(counted) == 3
    planned = json.loads((tmp_path / 'run' / 'stages.json').read_text())['stages']
    for name, macs in counted.items():
        assert summary['stages'][name]['macs'] == macs
        assert 0.8 * planned[name]['planned_macs'] < macs < 1.1 * planned[name]['planned_macs']
