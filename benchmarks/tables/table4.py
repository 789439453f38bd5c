"""Table 4 of the supplement: the terms of the loss, each left out in turn."""

from tables.table import Row, Table
from tables.terms import DKD
from tables.vit import FROM_REFIT, OF_REFIT, RECIPES, REFIT, TEACHERS

TABLE = Table(
    name='table4', title='Terms of the loss', source='AMD, supplement, Table 4',
    recipes=RECIPES,
    teachers=TEACHERS,
    overrides=FROM_REFIT, at={'micro': REFIT},
    rows=(
        Row('AMD', {}, 80.19),
        Row('without L_ce', {'model.losses.ce.weight': 0.}, 78.32),
        Row('without L_logit', {'model.losses.logit.weight': 0.}, 78.01),
        Row('without L_feat', {'model.losses.feat.weight': 0.}, 75.24),
        Row('with L_dkd', DKD, 80.22)),
    reference='AMD',
    notes=('The paper does not say the scale of the student here; 80.19 % is not the 80.23 % of 15 % in Table 1, so it '
           'is presumably 10 %.',
           'L_dkd takes the place of L_logit, which it decomposes; the paper does not say so plainly.',
           OF_REFIT))
