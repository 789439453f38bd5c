"""What the paper leaves to choose, each choice in turn: what a scale is of, the rule, the joint stage's sampler."""

from tables.table import Row, Table
from tables.vit import RECIPES, REFIT, TEACHERS

JOINT = {'method': dict(type='mmamd.AMD', candidates='joint')}
RULE, SAMPLER = 'custom_hooks.1.rule', 'custom_hooks.0'
OURS = ('The paper has no such table.',)

SCALE_BY = Table(
    name='scale_by', title='What a scale is a fraction of', source='AMD, supplement 1', recipes=RECIPES,
    teachers=TEACHERS, at={'micro': REFIT}, reference='flops', notes=OURS,
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
    rows=tuple(Row(name, {f'{SAMPLER}.sampler': name}) for name in (
        'all', 'sandwich', 'smallest_random', 'random', 'falling', 'progressive')))
