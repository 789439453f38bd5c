"""Terms of the loss on transformers at three weights or four: the search that their weights for a ViT come from."""

from tables.table import Row, Table
from tables.terms import ALONE, KD, instead
from tables.vit import RECIPES, REFIT, TEACHERS

# Of each term the weight at which it is about 1 on refit weights of the ViT-micro, where L_ce is 3.2 and L_logit 1.7.
BALANCED = {
    'ATLoss': 30., 'SPLoss': 600., 'PKTLoss': 8000., 'RKDLoss': 0.3, 'CWDLoss': 0.2, 'VIDLoss': 0.04, 'MGDLoss': 2e-6,
    'ViTKDLoss': 0.4, 'ReviewKDLoss': 0.007, 'CRDLoss': 0.05, 'DISTLoss': 1., 'FitNetLoss': 0.05, 'FeatureLoss': 0.08}
IN_PLACE = {'DKDLoss': 0.25, 'NKDLoss': 0.25, 'WSLDLoss': 0.1}  # of the logits' own term
FACTORS = (0.1, 1., 10.)
# Where the largest of the three weights had the most, a larger one.
FURTHER = {'ReviewKDLoss': 0.7, 'CRDLoss': 5., 'DISTLoss': 100., 'NKDLoss': 25., 'WSLDLoss': 10.}
# What a smaller share of the labels' loss is worth by itself, beside what takes the place of logits at large weights.
LOGITS = (10., 100.)


def _rows():
    yield Row('task and logits', ALONE)
    for weight in LOGITS:
        yield Row(f'LogitLoss, {weight:g}', instead('term', 'LogitLoss', keeps_logits=False, weight=weight))
    for terms, keeps_logits in ((BALANCED, True), (IN_PLACE, False)):
        for term, weight in terms.items():
            further = [FURTHER[term]] if term in FURTHER else []
            for tried in [*(factor * weight for factor in FACTORS), *further]:
                yield Row(f'{term}, {tried:g}', instead('term', term, keeps_logits, weight=tried))


TABLE = Table(
    name='vit_terms', title='Terms of the loss beside task and logits, ViT-micro to 10 %, two epochs', source='ours',
    recipes={budget: RECIPES[budget] for budget in ('smoke', 'micro')},
    teachers=TEACHERS, overrides=KD,
    at={'micro': {**REFIT, 'student.train_cfg.max_epochs': 2}},
    rows=tuple(_rows()), reference='task and logits', gain=True,
    notes=("Plain distillation from refit weights; DKD, NKD and WSLD take the place of the logits' term.",))
