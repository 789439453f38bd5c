"""What the paper leaves to choose, each choice in turn: what a scale is of, the rule, the joint stage's sampler."""

from tables.table import Row, Table
from tables.vit import FROM_REFIT, OF_REFIT, PUBLISHED_RULE, RECIPES, REFIT, RULE, TEACHERS

JOINT = {'method': dict(type='mmamd.AMD', candidates='joint'), **PUBLISHED_RULE}
SAMPLER = 'custom_hooks.0'
SMALLEST_RANDOM = {f'{SAMPLER}.sampler': 'smallest_random'}
# Of the hundred epochs of the recipe; its warm-up is a tenth of the stage.
A_FIFTH = {'joint.train_cfg.max_epochs': 20, 'joint.param_scheduler.0.end': 2, 'joint.param_scheduler.1.begin': 2,
           'joint.param_scheduler.1.periods': [18], 'joint.param_scheduler.1.end': 20}
OURS = ('The paper has no such table.',)

SCALE_BY = Table(
    name='scale_by', title='What a scale is a fraction of', source='AMD, supplement 1', recipes=RECIPES,
    teachers=TEACHERS, overrides=FROM_REFIT, at={'micro': REFIT}, reference='flops', notes=(*OURS, OF_REFIT),
    rows=tuple(Row(name, {'compression.scale_by': name}) for name in ('flops', 'params', 'units')))

RULES = Table(
    name='rules', title='Rule that chooses the assistant', source='AMD, supplement 4', recipes=RECIPES,
    teachers=TEACHERS, at={'micro': REFIT}, reference='npsd', notes=OURS,
    rows=(*(Row(name, {RULE: name}) for name in ('npsd', 'npsd_cost', 'npsd_local', 'lambda_tradeoff')),
          *(Row(f'the {which}', {RULE: 'manual', 'custom_hooks.1.scale': which}) for which in ('smallest', 'largest'))))

SAMPLERS = Table(
    name='samplers', title='Candidates that a joint step trains', source='AMD, supplement, Algorithm 1',
    recipes=RECIPES, teachers=TEACHERS, overrides=JOINT, at={'micro': REFIT}, reference='all',
    notes=(*OURS, 'Algorithm 1 trains all candidates in every step.'),
    rows=(*(Row(name, {f'{SAMPLER}.sampler': name}) for name in (
        'all', 'sandwich', 'smallest_random', 'random', 'falling', 'progressive')),
          Row('falling, below 0.5', {f'{SAMPLER}.sampler': 'falling', f'{SAMPLER}.below': 0.5}),
          Row('smallest_random, halved twice', SMALLEST_RANDOM, at={
              'micro': {f'{SAMPLER}.halve_after': [1, 2]}, 'full': {f'{SAMPLER}.halve_after': [20, 40]}}),
          Row("smallest_random, a fifth of the student's epochs", SMALLEST_RANDOM, at={
              'micro': {'joint.train_cfg.max_epochs': 1}, 'full': A_FIFTH}),
          Row('smallest_random, averaged weights', {**SMALLEST_RANDOM, 'joint.average': dict(share=0.1)})))
