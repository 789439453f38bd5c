"""The terms of ScaleKD, KD-Zero and DistPro in methods with assistants: of each training, into a plain student."""

import json

import pytest

SYSTEMS = {'scalekd': dict(type='mmamd.ScaleKDLoss', kd=False), 'process': dict(type='mmamd.ProcessLoss'),
           'found': dict(type='mmamd.GenomeLoss',
                         genome='in:[feature] trans:[norm_C|no|no] dist:[l2] cal:[no] weight:[10] tau:[1]')}
METHODS = {'AMD, refit': (dict(type='mmamd.AMD', candidates='refit'), ['student']),
           'AMD, tuned': (dict(type='mmamd.AMD', candidates='refit', tune_epochs=1), ['tune', 'student']),
           'TAKD': (dict(type='mmamd.TAKD'), ['assistant_0.75', 'assistant_0.50', 'student']),
           'MMD': (dict(type='mmamd.MMD', assistants=[0.5]), ['assistant_0.50', 'student_0.50'])}


@pytest.mark.slow
@pytest.mark.parametrize('name', METHODS)
def test_every_training_of_a_method_has_them(name, run_small, tmp_path):
    method, trainings = METHODS[name]
    summary, _ = run_small(method=method, **{'compression.refit': dict(num_images=64, num_images_candidates=32),
                                             'student.losses': SYSTEMS})
    assert summary['student']['macs'] > 0
    for stage in trainings:
        lines = next(iter(tmp_path.glob(f'**/{stage}/**/scalars.json'))).read_text().splitlines()
        logged = {key for line in lines for key in json.loads(line)}
        assert all(any(term in key and 'loss' in key for key in logged) for term in SYSTEMS), (stage, logged)
