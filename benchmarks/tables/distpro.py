"""DistPro's process beside ReviewKD, equal weights and plain distillation: schedules, thresholds, fewer epochs, tokens.

A row that replays a process has the search as its first stage; rows share it, and each is charged for it.
"""

from typing import Any

from tables.table import Row, Table
from tables.terms import STAGES
from tables.vit import RECIPES, REFIT, TEACHERS

KD = {'method.type': 'mmamd.KD'}  # the micro budget would have AMD
LEVELS = [('backbone.relu', 'backbone.relu'), *STAGES]
TWICE = {'search.epochs': 6, 'student.train_cfg.max_epochs': 12}  # the replay is twice as long
HALF = {'student.train_cfg.max_epochs': 6}
STEPS = [dict(type='MultiStepLR', by_epoch=True, milestones=[6, 10], gamma=0.1)]


def without_search(**terms: dict[str, Any]) -> dict[str, Any]:
    """Overrides of a student that learns by the task and some terms."""
    return {'search': None, **{f'model.losses.{name}': options for name, options in terms.items()}}


ALONE = without_search()
LOGITS = without_search(ce=dict(weight=0.1), logit=dict(type='mmamd.LogitLoss', weight=0.9, temperature=4.))
REVIEW = without_search(review=dict(type='mmamd.ReviewKDLoss', layers=LEVELS, warmup=1 / 12))
EQUAL = without_search(process=dict(type='mmamd.ProcessLoss', layers=LEVELS))
CNN = dict(recipes={'micro': 'distpro/search_distpro_resnet20_cifar100.py'},
           teachers={'micro': 'results/teachers/resnet20_cifar100.pth'}, overrides=KD, at={'micro': TWICE})

PROCESS = Table(
    name='distpro', title='A process, its like, and its cost, ResNet-20 to ResNet-8', source='ours',
    rows=(Row('student', ALONE), Row('KD', LOGITS), Row('ReviewKD', REVIEW), Row('equal weights', EQUAL),
          Row('DistPro'), Row('DistPro, its last weights', {'search.replay': dict(mode='use_last')}),
          Row('DistPro, searched by steps', {'student.param_scheduler': STEPS}),
          *(Row(f'DistPro, threshold {cut:g}', {'search.replay': dict(threshold=cut)}) for cut in (0.3, 0.5, 0.6, 0.7)),
          Row('KD, half the epochs', {**LOGITS, **HALF}), Row('ReviewKD, half the epochs', {**REVIEW, **HALF}),
          Row('equal weights, half the epochs', {**EQUAL, **HALF}), Row('DistPro, half the epochs', HALF)),
    reference='ReviewKD', notes=("All but KD learn without logits, as in the authors' code.",), **CNN)

# A ViT of half the depth and width, drawn anew; its levels are the ends of its blocks.
SMALL_VIT = dict(
    type='ImageClassifier',
    backbone=dict(type='VisionTransformer', img_size=32, patch_size=4, out_type='avg_featmap',
                  arch=dict(embed_dims=64, num_layers=4, num_heads=4, feedforward_channels=256)),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64))
BLOCKS = [(f'backbone.layers.{i}', f'backbone.layers.{2 * i + 1}') for i in range(4)]
SEARCH = dict(type='mmamd.DistProSearch', epochs=4, lr=1e-3, loss=dict(layers=BLOCKS))
OF_BLOCKS = dict(type='mmamd.ProcessLoss', layers=BLOCKS)
NONE = {'model.losses.feat.weight': 0., 'model.losses.logit.weight': 0.}

VIT = Table(
    name='distpro_vit', title='A process of tokens, ViT-micro to a small ViT', source='ours',
    recipes={'micro': RECIPES['micro']}, teachers=TEACHERS,
    overrides={**KD, **NONE, 'compression.student_architecture': SMALL_VIT, 'compression.student_scale': 0.13},
    at={'micro': {'student.train_cfg.max_epochs': 8}}, reference='KD',
    rows=(Row('student'), Row('KD', {'model.losses.logit.weight': 1.}),
          Row('equal weights', {'model.losses.process': OF_BLOCKS}), Row('DistPro', {'search': SEARCH})))

# Hidden states after the second, fourth, sixth and eighth block.
STATES = [2, 4, 6, 8]
TERM = Table(
    name='distpro_amd', title="A process as AMD's feature term, ViT-micro to 10 %", source='ours',
    recipes={'micro': RECIPES['micro']}, teachers=TEACHERS, reference='L_feat',
    overrides={'method': dict(type='mmamd.AMD', candidates='refit'), 'custom_hooks.1.rule': 'npsd_cost'},
    at={'micro': {**REFIT, 'compression.num_candidates': 4}},
    rows=(Row('L_feat'), Row('without L_feat', {'model.losses.feat.weight': 0.}),
          Row('equal weights', {'model.losses.feat.weight': 0., 'model.losses.process': dict(OF_BLOCKS, layers=STATES)}),
          Row('process', {'model.losses.feat.weight': 0., 'search': dict(SEARCH, epochs=2, loss=dict(layers=STATES))})))
