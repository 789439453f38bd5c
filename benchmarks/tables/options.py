"""Options of ours, each beside the run without it at the cost of one plain distillation; where a joint stage starts."""

from tables.ablations import OURS
from tables.table import Row, Table
from tables.vit import FROM_REFIT, PUBLISHED_RULE, RECIPES, REFIT, TEACHERS

AT_ONE_COST = {**REFIT, 'compression.num_candidates': 4, 'compression.budget': 1.0}  # of one plain distillation
FEW = {'compression.importance.num_images': 256, 'compression.refit': dict(num_images=1536, num_images_candidates=384)}
KEPT = {'teacher_cache': dict(views=4), 'model.losses.feat.weight': 0.}

OPTIONS = Table(
    name='options', title='Options at equal cost', source='ours', recipes=RECIPES, teachers=TEACHERS,
    overrides=FROM_REFIT, reference='as it is', notes=OURS,
    at={'micro': AT_ONE_COST, 'full': {'compression.budget': 1.0}},
    rows=(Row('as it is'),
          Row('without L_feat', {'model.losses.feat.weight': 0.}),
          Row('averaged weights', {'student.average': dict(share=0.1)}),
          Row('standardised logits', {'model.losses.logit': dict(standardize=True, temperature=2., weight=9.)}),
          Row('fewer images scored and refit', FEW),
          Row("the assistant's outputs kept, 4 views", KEPT),
          Row('both of these', {**FEW, **KEPT}),
          Row('the assistant tuned for an epoch', {'method.tune_epochs': 1})))

STARTS = Table(
    name='starts', title='Where a joint stage starts', source='ours', recipes=RECIPES, teachers=TEACHERS,
    overrides=PUBLISHED_RULE,
    reference='none', notes=(*OURS, 'A joint stage of three epochs before five of the student, as in samplers.'),
    at={'micro': {**REFIT, 'custom_hooks.0.sampler': 'smallest_random'}},
    rows=tuple(Row(start, {'method': dict(type='mmamd.AMD', candidates='joint', start=start)})
               for start in ('none', 'smallest', 'nested', 'together')))
