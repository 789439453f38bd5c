"""KD-Zero at the micro budget: a search, and what it found beside terms that were designed by hand."""

import json

import study

from tables.table import Row, Table
from tables.terms import ALONE, KD, LOGITS, instead
from tables.vit import RECIPES, REFIT, TEACHERS

FOUND = study.ROOT / 'results' / 'kd_zero' / 'found.json'  # name -> genome
NUM_BEST = 3  # of them; the others are of all ranks, to tell what a rank says
EPOCHS = 12  # at the micro budget
EPOCHS_AND_SEARCH = 46  # what the search costs, without the random one beside it, is 2.8 such trainings
GENOME = 'model.losses.found.genome'
RECIPE = 'kd_zero/kd-zero_resnet20_cifar100.py'
PLAIN = {'model.losses.found.weight': 0.}  # the task's loss alone


def found() -> dict[str, str]:
    """Distillers of a recorded search, the best first."""
    return json.loads(FOUND.read_text())


RESNET = Table(
    name='kd_zero', title='Found distillers, ResNet-20 to ResNet-8', source='ours', recipes={'micro': RECIPE},
    teachers={'micro': 'results/teachers/resnet20_cifar100.pth'}, overrides=KD,
    at={'micro': {'student.train_cfg.max_epochs': EPOCHS}},
    rows=(Row('student', PLAIN),
          Row('KD', {**PLAIN, **LOGITS}),
          Row('KD, as long as search and student',
              {**PLAIN, **LOGITS, 'student.train_cfg.max_epochs': EPOCHS_AND_SEARCH}),
          Row('DKD', {**PLAIN, 'model.losses.dkd': dict(type='mmamd.DKDLoss')}),
          Row('DIST', {**PLAIN, 'model.losses.dist': dict(type='mmamd.DISTLoss')}),
          *(Row(name, {GENOME: genome}) for name, genome in found().items())),
    reference='KD', notes=('Found distillers stand beside the whole loss of the task, as in the paper.',))
SEARCH = Table(
    name='kd_zero_search', title='Search of a distiller, ResNet-20 to ResNet-8', source='ours',
    recipes={'micro': 'kd_zero/search_kd-zero_resnet20_cifar100.py'}, teachers=RESNET.teachers,
    overrides=RESNET.overrides,
    # 30 steps a distiller: 3 % of the student's, where the paper has 5 %.
    at={'micro': {**RESNET.at['micro'], 'search.proxy_images': 3840, 'search.random': True}},
    rows=(Row('search'),), reference='search',
    notes=('64 distillers, and as many by chance beside them; the best one teaches the student of the row. The run '
           'keeps all of them: search/trials.json in its folder.',))
VIT = Table(
    name='kd_zero_vit', title='Found distillers, ViT-micro to 10 %', source='ours',
    recipes={'micro': RECIPES['micro']}, teachers=TEACHERS, overrides=KD,
    at={'micro': REFIT},
    rows=(Row('task, logits, hidden states'), Row('task and logits', ALONE),
          *(Row(name, instead('found', 'GenomeLoss', keeps_logits=False, genome=genome))
            for name, genome in list(found().items())[:NUM_BEST])),
    reference='task, logits, hidden states',
    notes=('Plain distillation from refit weights. Found distillers are those of the convolutional pair.',))
