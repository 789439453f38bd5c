"""ScaleKD's ablations: what each part brings, which projector, which view, which queries, which beta, at what cost.

The pair of the paper is Swin-S and ResNet-50 by the traditional recipe; at the micro budget it is ViT-micro and
ResNet-20.
"""

from typing import Any

from tables.options import AT_ONE_COST
from tables.table import Row, Table
from tables.terms import ALONE as WITHOUT_STATES
from tables.terms import KD, instead
from tables.vit import FROM_REFIT, RECIPES, TEACHERS

TERM = 'model.losses.scalekd'
# A student that is drawn anew needs more epochs than one that is cut out of its teacher.
MICRO = {'micro': {'student.train_cfg.max_epochs': 8}}
PAIR = dict(recipes={'micro': 'scalekd/vit-micro_resnet20_cifar100.py', 'full': 'scalekd/swin-s_resnet50_imagenet.py'},
            teachers=TEACHERS, overrides=KD, at=MICRO)


def parts(**options: Any) -> dict[str, Any]:
    """Overrides of a student that learns by some parts of the term; without its logits the task has its whole loss."""
    task = {'model.losses.ce.weight': 1.} if options.get('kd') is False else {}
    return {**task, **{f'{TERM}.{name}': value for name, value in options.items()}}


ALONE = {'model.losses.ce.weight': 1., f'{TERM}.weight': 0.}
ONLY = dict(kd=False, dfm=False, tpp=False)
FD, CONV, CAP = parts(**ONLY, projector='linear'), parts(**ONLY, projector='conv'), parts(**ONLY)
FD_BOTH_STAGES = {**FD, **parts(both_stages=True)}
DFM, TPP, BOTH = parts(kd=False, tpp=False), parts(kd=False, dfm=False), parts(kd=False)
NETWORKS = 'Swin-S and ResNet-50 in the paper, ViT-micro and ResNet-20 at the micro budget.'
SUM = "As in the authors' code: beside the logits the task has half of its loss, without them all of it."


def design(figures: dict[str, float], costs: dict[str, str] | None = None) -> tuple[Row, ...]:
    """Rows of all combinations of parts that the paper has, those of them that have a figure."""
    rows = {'baseline': ALONE, 'FD': FD, 'CAP': CAP, 'CAP, DFM': DFM, 'CAP, TPP': TPP, 'CAP, DFM, TPP': BOTH,
            'CAP, DFM, TPP, KD': {}}
    return tuple(Row(name, rows[name], top, (costs or {}).get(name, '')) for name, top in figures.items())


RESNET = Table(
    name='scalekd_9a', title='Parts of ScaleKD, a transformer to a ResNet', source='ScaleKD, Table 9a; FD from 9b',
    rows=design({'baseline': 76.55, 'FD': 77.43, 'CAP': 77.87, 'CAP, DFM': 78.51, 'CAP, TPP': 78.62,
                 'CAP, DFM, TPP': 79.30, 'CAP, DFM, TPP, KD': 79.62}),
    reference='baseline', notes=(SUM, NETWORKS), **PAIR)
MIXER = Table(
    name='scalekd_9a_mixer', title='Parts of ScaleKD, a transformer to a Mixer', source='ScaleKD, Table 9a; FD from 1',
    recipes={'micro': 'scalekd/vit-micro_mixer-micro_cifar100.py', 'full': 'scalekd/swin-l_mixer-s_imagenet.py'},
    teachers=TEACHERS, overrides=KD,
    at={**MICRO, 'full': {
        'model.architecture.backbone.arch': 'small', 'model.architecture.head.in_channels': 768,
        'model.teacher': 'swin-small_16xb64_in1k', f'{TERM}.heads': (3, 6), 'compression.student_scale': 0.43}},
    rows=design({'baseline': 74.02, 'FD': 74.88, 'CAP': 75.03, 'CAP, DFM': 76.42, 'CAP, TPP': 76.28,
                 'CAP, DFM, TPP': 77.24, 'CAP, DFM, TPP, KD': 77.59}),
    reference='baseline',
    notes=(SUM, 'Swin-S and Mixer-S in the paper, ViT-micro and a small Mixer at the micro budget.',
           'FD averages the maps of Mixer-S, 14 x 14 at full size, to the 7 x 7 of Swin-S; the paper does not say '
           'how they were made alike.'))
PROJECTORS = Table(
    name='scalekd_9b', title='Projectors', source='ScaleKD, Table 9b',
    rows=(Row('baseline', ALONE, 76.55), Row('Linear', FD, 77.43), Row('Conv', CONV, 77.52), Row('CAP', CAP, 77.87)),
    reference='Linear', **PAIR)
VIEWS = Table(
    name='scalekd_9c', title='Second view', source='ScaleKD, Table 9c',
    rows=(Row('baseline', ALONE, 76.55), Row('CAP', CAP, 77.87),
          Row('Dual-Path CAP', parts(**ONLY, dual_path=True), 78.12), Row('DFM', DFM, 78.51)),
    reference='CAP', **PAIR)
QUERIES = Table(
    name='scalekd_9d', title='Proxy path and its queries', source='ScaleKD, Table 9d',
    rows=(Row('baseline', ALONE, 76.55), Row('CAP', CAP, 77.87),
          Row('TPP, proxy path', parts(kd=False, dfm=False, adaptive_queries=False), 78.50),
          Row('TPP, proxy path, adaptive queries', TPP, 78.62)),
    reference='CAP', **PAIR)
FIRST_VIEW = Table(
    name='scalekd_17', title='First view', source='ScaleKD, Table 17',
    rows=(Row('baseline', ALONE, 76.55), Row('CAP', CAP, 77.87),
          Row('DFM (Dir + Alt)', parts(kd=False, tpp=False, first_view='dir'), 78.23),
          Row('DFM (All + Alt)', DFM, 78.51)),
    reference='DFM (All + Alt)', **PAIR)
BETA = Table(
    name='scalekd_beta', title='Share of the first view', source='ScaleKD, Figure 4',
    rows=tuple(Row(f'beta = {beta:g}', parts(beta=beta), 'missing', x=beta) for beta in (0., 0.2, 0.4, 0.6, 0.8, 1.)),
    reference='beta = 0.6', axis='beta',
    notes=('A figure without numbers: 0.6 is the best of all, 1 is better than 0, and all are above the baseline.',),
    **PAIR)
COSTS = Table(
    name='scalekd_15', title='Cost of the parts, a transformer to a ResNet', source='ScaleKD, Table 15b',
    rows=design({'FD': 77.43, 'CAP': 77.87, 'CAP, DFM': 78.51, 'CAP, TPP': 78.62, 'CAP, DFM, TPP': 79.30,
                 'CAP, DFM, TPP, KD': 79.62},
                {'FD': '3.66 G, 1.67 d', 'CAP': '3.77 G, 1.70 d', 'CAP, DFM': '4.02 G, 1.77 d',
                 'CAP, TPP': '5.13 G, 1.84 d', 'CAP, DFM, TPP': '6.60 G, 2.08 d',
                 'CAP, DFM, TPP, KD': '6.65 G, 2.10 d'}),
    reference='FD',
    notes=(NETWORKS,
           'Costs are memory of a GPU and days on 8 V100. Ours are MACs, the last stage of the teacher and the '
           'projectors with them; benchmarks/scalekd_cost.py measures time.',), **PAIR)
AS_FEATURES = Table(
    name='scalekd_amd', title="ScaleKD as AMD's feature term at equal cost, ViT to 10 %", source='ours',
    recipes=RECIPES, teachers=TEACHERS, overrides=FROM_REFIT,
    at={'micro': AT_ONE_COST},
    rows=(Row('L_feat'), Row('without L_feat', WITHOUT_STATES),
          Row('CAP', instead('scalekd', 'ScaleKDLoss', **ONLY)),
          Row('CAP, DFM, TPP', instead('scalekd', 'ScaleKDLoss', kd=False))),
    reference='L_feat',
    notes=('An assistant teaches; each row has the epochs that its budget leaves it, projectors and proxy path '
           'counted in.',))
