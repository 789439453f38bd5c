"""DistPro's process beside ReviewKD, equal weights and plain distillation: schedules, thresholds, fewer epochs, tokens.

The process of the convolutional pair was searched once, by the row that says so, and kept; rows that replay it are not
charged for the search. Those of a transformer search it as their first stage, and are.
"""

from typing import Any

import study

from tables.table import Row, Table
from tables.terms import ALONE, KD, LOGITS, STAGES
from tables.vit import FROM_REFIT, RECIPES, REFIT, TEACHERS

LEVELS = [('backbone.relu', 'backbone.relu'), *STAGES]
FOUND = study.ROOT / 'results' / 'distpro' / 'process_resnet20_resnet8.json'
SEARCH_EPOCHS, EPOCHS = 3, 6  # at the micro budget: the replay is twice as long
STEPS = [dict(type='MultiStepLR', by_epoch=True, milestones=[1, 2], gamma=0.1)]


def without_search(**terms: dict[str, Any]) -> dict[str, Any]:
    """Overrides of a student that learns by the task and some terms."""
    return {'search': None, **{f'model.losses.{name}': options for name, options in terms.items()}}


def replay(**options: Any) -> dict[str, Any]:
    """Overrides of a student that learns by the task and the process that was found."""
    return without_search(process=dict(type='mmamd.ProcessLoss', layers=LEVELS, file=str(FOUND), **options))


def epochs(number: int) -> dict[str, Any]:
    """Overrides of a student of so many epochs."""
    return {'student.train_cfg.max_epochs': number}


HALF = epochs(EPOCHS // 2)
REVIEW = without_search(review=dict(type='mmamd.ReviewKDLoss', layers=LEVELS, warmup=1 / 12))
EQUAL = without_search(process=dict(type='mmamd.ProcessLoss', layers=LEVELS))
MANY = {'KD': {**without_search(), **LOGITS}, 'ReviewKD': REVIEW, 'equal weights': EQUAL, 'DistPro': replay()}

PROCESS = Table(
    name='distpro', title='A process, its like, and its cost, ResNet-20 to ResNet-8', source='ours',
    recipes={'micro': 'distpro/search_distpro_resnet20_cifar100.py'},
    teachers={'micro': 'results/teachers/resnet20_cifar100.pth'}, overrides=KD,
    at={'micro': {'search.epochs': SEARCH_EPOCHS, **epochs(EPOCHS)}},
    rows=(Row('student', without_search()), *(Row(name, overrides) for name, overrides in MANY.items()),
          Row('DistPro, its last weights', replay(mode='use_last')),
          *(Row(f'DistPro, threshold {cut:g}', replay(threshold=cut)) for cut in (0.3, 0.5, 0.6, 0.7)),
          *(Row(f'{name}, half the epochs', {**overrides, **HALF}) for name, overrides in MANY.items()
            if name != 'DistPro'),
          Row('DistPro, search and half the epochs', HALF),
          Row('DistPro, search and half the epochs, by steps', {'student.param_scheduler': STEPS, **HALF}),
          Row('DistPro, search and half the epochs, alphas at 0.01', {'search.lr': 0.01, **HALF})),
    reference='ReviewKD', notes=("All but KD learn without logits, as in the authors' code.",))

# A ViT of half the depth and width, drawn anew; its levels are the ends of its blocks.
SMALL_VIT = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', img_size=32, patch_size=4, out_type='avg_featmap',
                  arch=dict(embed_dims=64, num_layers=4, num_heads=4, feedforward_channels=256)),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64))
BLOCKS = [(f'backbone.layers.{i}', f'backbone.layers.{2 * i + 1}') for i in range(4)]
SEARCH = dict(type='mmamd.DistProSearch', epochs=4, lr=1e-3, loss=dict(layers=BLOCKS))
OF_BLOCKS = dict(type='mmamd.ProcessLoss', layers=BLOCKS)

VIT = Table(
    name='distpro_vit', title='A process of tokens, ViT-micro to a small ViT', source='ours',
    recipes={'micro': RECIPES['micro']}, teachers=TEACHERS,
    overrides={**KD, **ALONE, 'model.losses.logit.weight': 0.,
               'compression.student_architecture': SMALL_VIT, 'compression.student_scale': 0.14},
    at={'micro': {'student.train_cfg.max_epochs': 8}}, reference='KD',
    rows=(Row('student'), Row('KD', {'model.losses.logit.weight': 1.}),
          Row('equal weights', {'model.losses.process': OF_BLOCKS}), Row('DistPro', {'search': SEARCH})))

# Hidden states after the second, fourth, sixth and eighth block.
STATES = [2, 4, 6, 8]
TERM = Table(
    name='distpro_amd', title="A process as AMD's feature term, ViT-micro to 10 %", source='ours',
    recipes={'micro': RECIPES['micro']}, teachers=TEACHERS, reference='L_feat',
    overrides=FROM_REFIT,
    at={'micro': {**REFIT, 'compression.num_candidates': 4}},
    rows=(Row('L_feat'), Row('without L_feat', ALONE),
          Row('equal weights', {**ALONE, 'model.losses.process': dict(OF_BLOCKS, layers=STATES)}),
          Row('process', {**ALONE, 'search': dict(SEARCH, epochs=2, loss=dict(layers=STATES))})))
