"""Table 7 of the supplement: terms of the loss on convolutional networks, whose student is another network."""

from tables.table import Row, Table
from tables.terms import ALONE, STAGES, instead

LAST = STAGES[-1]
# The figures of WRN-40-2 to WRN-16-2, ResNet-56 to ResNet-20, VGG-13 to VGG-8.
PAPER = {
    'student': (73.64, 69.63, 70.68), 'KD': (74.92, 70.66, 72.98), 'FitNet': (75.75, 71.60, 73.54),
    'AT': (75.28, 71.78, 73.62), 'SP': (75.34, 71.48, 73.44), 'VID': (74.79, 71.71, 73.96),
    'RKD': (75.40, 71.48, 73.72), 'PKT': (76.01, 71.44, 73.37), 'AB': (68.89, 71.49, 74.27),
    'FT': (75.15, 71.52, 73.42), 'CRD': (76.04, 71.68, 74.06), 'SSKD': (76.04, 71.49, 75.33),
    'TAKD': (75.04, 70.77, 73.67), 'DGKD': (76.24, 71.92, 74.40), 'AMD': (76.06, 71.95, 74.47)}
KD = {'method.type': 'mmamd.KD'}
BEFORE = dict(ce=dict(weight=0.), logit=dict(weight=0.), feat=dict(weight=0.))  # nothing but what prepares


def _prepared(epochs: int, **losses) -> dict:
    """Overrides of a training that comes before the distillation."""
    return {'pretrain': dict(train_cfg=dict(max_epochs=epochs), trains='student', losses={**BEFORE, **losses})}


def _rows(pair: int, layers: list, last: tuple, epochs: int) -> tuple[Row, ...]:
    """Rows of one pair of networks; terms have the weights that CRD's benchmark has for such pairs."""
    def alone(name: str, term: str, **options) -> dict:
        return {**KD, **instead(name, term, keeps_logits=False, **options)}

    ab = dict(type='mmamd.ABLoss', layers=layers, weight=0.003)
    ft = dict(type='mmamd.FTLoss', layer=last, weight=200.)
    sskd = dict(type='mmamd.SSKDLoss')
    overrides = {
        'student': {**KD, **ALONE, 'model.losses.logit.weight': 0.},
        'KD': {**KD, **ALONE, 'model.losses.ce.weight': 0.1,
               'model.losses.logit': dict(weight=0.9, temperature=4.)},
        'FitNet': alone('fitnet', 'FitNetLoss', layer=layers[len(layers) // 2], weight=100.),
        'AT': alone('at', 'ATLoss', layers=layers, weight=1000.),
        'SP': alone('sp', 'SPLoss', layer=last, weight=3000.),
        'VID': alone('vid', 'VIDLoss', layers=layers, weight=1.),
        'RKD': alone('rkd', 'RKDLoss'),
        'PKT': alone('pkt', 'PKTLoss', weight=30000.),
        'AB': {**KD, **ALONE, 'model.losses.logit.weight': 0., **_prepared(epochs, ab=ab)},
        'FT': {**KD, **ALONE, 'model.losses.logit.weight': 0., 'model.losses.ft': ft,
               **_prepared(epochs, ft=dict(ft, learns='paraphraser', weight=1.))},
        'CRD': alone('crd', 'CRDLoss'),
        'SSKD': {**KD, **ALONE, 'model.losses.ce.weight': 0.1, 'model.losses.logit': dict(weight=0.9, temperature=4.),
                 'model.losses.sskd': sskd, **_prepared(epochs, sskd=dict(sskd, learns='head'))},
        'TAKD': {'method.type': 'mmamd.TAKD', **ALONE},
        'DGKD': {'method.type': 'mmamd.DGKD', **ALONE, 'model.losses.logit.weight': 0.,
                 'student.losses.dgkd': dict(type='mmamd.DGKDLoss')},
        'AMD': {}}
    return tuple(Row(name, overrides[name], figures[pair]) for name, figures in PAPER.items())


RESNET_8 = dict(
    type='ImageClassifier', backbone=dict(type='mmamd.CifarResNet', depth=8), neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64))

RESNET = Table(
    name='table7', title='Terms of the loss, ResNets on CIFAR-100', source='AMD, supplement, Table 7',
    recipes={'micro': 'amd/resnet20_cifar100.py', 'full': 'amd/resnet56_cifar100.py'},
    teachers={'micro': 'results/teachers/resnet20_cifar100.pth'},
    at={'micro': {'compression.student_architecture': RESNET_8, 'compression.student_scale': 0.31,
                  'compression.num_candidates': 4, 'student.losses': dict(feat=dict(layers=STAGES))}},
    rows=_rows(1, STAGES, LAST, 1), reference='KD',
    notes=('The paper has ResNet-56 and ResNet-20 (teacher 73.44 %); at the micro budget it is ResNet-20 and the '
           'ResNet-8 of the family.',
           'CRD draws 4,096 negatives here and 16,384 in its paper.'))
