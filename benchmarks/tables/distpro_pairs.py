"""DistPro's tables on ImageNet: processes of another pair, thresholds, and the same accuracy in fewer epochs.

Every row replays a process, which the recipes that begin with search_ have to find first, each once.
"""

import study
from mmengine.config import Config

from tables.table import Row, Table

R34, R50, VIT = (f'distpro/distpro_{name}_imagenet.py' for name in ('resnet34', 'resnet50', 'vit-b'))
SEARCHED = {recipe: f'work_dirs/search_{recipe.removeprefix("distpro/").removesuffix(".py")}/search/process.json'
            for recipe in (R34, R50, VIT)}
FILE = 'model.losses.process.file'
NOTES = ('The processes are searched first: configs/distpro/search_distpro_*_imagenet.py. No row is charged for that.',
         'Epochs of the search, optimizer and batch are not in the appendix: ours are those of the recipes.')


def _transfer(name: str, by: str, into: str, paper: float) -> Row:
    return Row(name, {FILE: SEARCHED[by]}, paper, recipes={'full': into})


TRANSFER = Table(
    name='distpro_1', title='Processes of another pair', source='DistPro, appendix, Table 1', recipes={'full': R34},
    rows=(_transfer('R34-R18, by R34-R18', R34, R34, 71.89), _transfer('R34-R18, by R50-MobileNet', R50, R34, 71.87),
          _transfer('R50-MobileNet, by R50-MobileNet', R50, R50, 73.26),
          _transfer('R50-MobileNet, by R34-R18', R34, R50, 73.22)),
    reference='R34-R18, by R34-R18',
    notes=(*NOTES, 'Table 2, detection on COCO, is not here: it is another task.'))

THRESHOLDS = Table(
    name='distpro_3', title='Thresholds, ResNet-50 to MobileNet-V1', source='DistPro, appendix, Table 3',
    recipes={'full': R50},
    rows=(Row('no threshold', {}, 73.26, note='Table 1, which names none'),
          *(Row(f'threshold {cut}', {'model.losses.process.threshold': cut}, paper, f'{kept} % of alphas, {hours} h')
            for cut, kept, hours, paper in ((0.3, 80, 102, 73.25), (0.5, 50, 81, 73.26), (0.6, 40, 73, 73.22),
                                            (0.7, 26, 60, 72.89)))),
    reference='no threshold',
    notes=(*NOTES, 'Costs are GPU hours. The caption names MobileNetV2; the figures are those of the MobileNet of '
           'Table 1, which ScaleKD, Table 13, has beside its V1.',
           'The paper does not say on which scale weights are compared with the threshold; here it is that of the '
           'weights times the number of pathways, on which equal ones are near 1.'))


def _steps(epochs: int) -> dict:
    """Overrides of a training of a ResNet so long."""
    milestones = [round(epochs * share) for share in (0.3, 0.6, 0.9)]
    return {'student.train_cfg.max_epochs': epochs, 'student.param_scheduler': [
        dict(type='MultiStepLR', by_epoch=True, milestones=milestones, gamma=0.1)]}


def _cosine(epochs: int) -> dict:
    """Overrides of a training of DeiT-Tiny so long."""
    return {'student.train_cfg.max_epochs': epochs, 'student.param_scheduler': [
        dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5, end=epochs, convert_to_iter_based=True)]}


def _review(recipe: str) -> dict:
    """Overrides by which ReviewKD teaches in the place of a process, over the same levels."""
    levels = Config.fromfile(study.ROOT / 'configs' / recipe).model.losses.process.layers
    return {'model.losses.process': dict(_delete_=True, type='mmamd.ReviewKDLoss', layers=levels)}


def _two(name: str, recipe: str, schedule, review: tuple[int, float], process: tuple[int, float]) -> tuple[Row, Row]:
    """ReviewKD and DistPro, each with its epochs and its accuracy."""
    own = {'full': recipe}
    return (Row(f'{name}, ReviewKD, {review[0]} epochs', {**_review(recipe), **schedule(review[0])}, review[1],
                recipes=own),
            Row(f'{name}, DistPro, {process[0]} epochs', schedule(process[0]), process[1], recipes=own))


FAST = Table(
    name='distpro_fast', title='The same accuracy in fewer epochs', source="DistPro's repository, Table 2 of the paper",
    recipes={'full': R50},
    rows=(*_two('MobileNet', R50, _steps, (100, 72.56), (50, 72.54)),
          *_two('ResNet-18', R34, _steps, (100, 71.61), (65, 71.59)),
          *_two('DeiT-Tiny', VIT, _cosine, (150, 73.44), (100, 73.41))),
    reference='MobileNet, ReviewKD, 100 epochs', notes=NOTES)

KNOWN = {('ReviewKD', 100): 72.56, ('DistPro', 50): 72.54, ('DistPro', 100): 73.26}  # of Table 2 and the appendix
EPOCHS = Table(
    name='distpro_epochs', title='Accuracy against epochs, ResNet-50 to MobileNet-V1', source='DistPro, Figure 5',
    recipes={'full': R50}, axis='epochs',
    rows=tuple(Row(f'{name}, {epochs} epochs', {**overrides, **_steps(epochs)}, KNOWN.get((name, epochs), 'missing'),
                   x=epochs, curve=name)
               for name, overrides in (('ReviewKD', _review(R50)), ('DistPro', {}))
               for epochs in (10, 20, 30, 50, 100)),
    reference='ReviewKD, 100 epochs', notes=(*NOTES, 'Of the figure, what its text and tables repeat is printed.'))
