"""KD-Zero's pairs of networks, its ablation of the space, other designs, and the size of the teacher.

The paper prints none of the distillers that it has found. Where a row has a distiller that was found before, it is the
best of those that were found here, of a small pair; a row of a search finds its own.
"""

from tables.kd_zero import SEARCH, found
from tables.table import Row, Table
from tables.terms import KD, LOGITS, STAGES

BEST = found()['found, 3']
FOUND = {'model.losses.found': dict(type='mmamd.GenomeLoss', genome=BEST)}
INSTEAD = f'The distiller is {BEST}, found here for ResNet-20 and ResNet-8; the paper prints none.'
MAPS = 'in:[feature] trans:[batchnorm|no|no] dist:[l2] cal:[no] weight:[1] tau:[1]'
FULL = 'kd_zero/search_kd-zero_{}.py'.format
PAIR = FULL('resnet110_resnet20_cifar100')
NO_SEARCH = {'search': None}
NORMS = ['no', 'batchnorm', 'min-max', *(f'{kind}_{axes}' for kind in ('norm', 'softmax', 'logsoftmax')
                                         for axes in ('HW', 'C', 'N'))]


def _pair(name: str, recipe: str, alone: float, others: str, paper: float, note: str = '', **overrides) -> Row:
    note = f'student alone {alone:.2f} %, {others}{note}'
    return Row(name, overrides, paper, note=note, recipes={'full': FULL(recipe)})


PAIRS = Table(
    name='kd_zero_pairs', title='Searched distillers of pairs', source='KD-Zero, Tables 3 and 4',
    recipes={'full': PAIR},
    rows=(_pair('WRN-40-2, WRN-16-2', 'wrn-40-2_wrn-16-2_cifar100', 73.26, 'KD 74.92, DIST 75.35', 76.42),
          _pair('ResNet-110, ResNet-20', 'resnet110_resnet20_cifar100', 69.06, 'KD 70.67, DIST 71.68', 72.05),
          _pair('ResNet-110, ResNet-32', 'resnet110_resnet20_cifar100', 71.14, 'KD 73.08, DIST 73.86', 74.19, **{
              'compression.student_architecture.backbone.depth': 32, 'compression.student_scale': 0.27}),
          _pair('ResNet-32x4, ResNet-8x4', 'resnet32x4_resnet8x4_cifar100', 72.50, 'KD 73.33, DIST 75.79', 77.85),
          _pair('VGG-13, VGG-8', 'vgg13_vgg8_cifar100', 70.36, 'KD 72.98, DIST 73.86', 75.26),
          _pair('VGG-13, MobileNetV2', 'vgg13_mobilenet-v2_cifar100', 64.60, 'KD 67.37, DIST 69.17', 70.42),
          _pair('ResNet-32x4, ShuffleNetV2', 'resnet32x4_shufflenet-v2_cifar100', 71.82, 'KD 74.45, DIST 76.08', 77.45),
          _pair('WRN-40-2, ShuffleNetV1', 'wrn-40-2_shufflenet-v1_cifar100', 70.50, 'KD 74.83, DIST 75.85', 77.52),
          _pair('ResNet-56, DeiT-Ti', 'resnet56_deit-t_cifar100', 65.08, 'KD 73.25, DIST 72.56', 78.25,
                '; at 224 px there, at 32 px here'),
          _pair('ResNet-56, T2T-ViT-7', 'resnet56_t2t-vit-7_cifar100', 69.37, 'KD 74.15, DIST 73.86', 78.32,
                '; at 224 px there, at 64 px here'),
          _pair('ResNet-56, PVT-Ti', 'resnet56_pcpvt-t_cifar100', 69.22, 'KD 73.68, DIST 73.52', 77.22,
                '; at 224 px there, at 48 px and with the positions of Twins-PCPVT here'),
          _pair('ResNet-34, ResNet-18', 'resnet34_resnet18_imagenet', 69.75, 'KD 70.66', 72.17),
          _pair('ResNet-50, MobileNet', 'resnet50_mobilenet-v1_imagenet', 70.13, 'KD 70.68', 73.02)),
    reference='ResNet-110, ResNet-20',
    notes=('Each row is a search of its own. Standard deviations are 0.11 to 0.36 points over three runs.',
           'Of the quoted students and KD the rate and the decays are those of CRD, other than the text of the paper.'))

# Of teachers: backbone, width of its head, parameters in M, KD and KD-Zero of both students.
WRN = 'mmamd.MaskedWideResNet'
TEACHERS = {
    'R110': (dict(depth=110), 64, 1.74, (70.89, 72.05), (74.09, 75.50)),
    'VGG13': (dict(type='mmamd.MaskedCifarVGG', depth=13), 512, 9.46, (70.07, 71.21), (74.21, 75.45)),
    'W-28-2': (dict(type=WRN, depth=28, widen_factor=2), 128, 1.48, (70.83, 72.46), (74.20, 76.05)),
    'W-40-2': (dict(type=WRN, depth=40, widen_factor=2), 128, 2.26, (70.35, 71.76), (74.49, 76.42)),
    'W-16-4': (dict(type=WRN, depth=16, widen_factor=4), 256, 2.77, (70.22, 72.37), (74.61, 76.50)),
    'W-28-4': (dict(type=WRN, depth=28, widen_factor=4), 256, 5.87, (70.59, 71.55), (74.03, 76.40)),
    'R50': (dict(type='mmamd.MaskedResNetCIFAR', depth=50), 2048, 23.71, (70.12, 71.74), (74.67, 76.02)),
    'R32x4': (dict(depth=32, stem_channels=32, base_channels=64), 256, 7.43,
              (70.37, 70.98), (74.57, 75.86))}
# Shares of the teachers' MACs that the students have.
SHARES = ({'R110': 0.16, 'VGG13': 0.14, 'W-28-2': 0.19, 'W-40-2': 0.125, 'W-16-4': 0.10, 'W-28-4': 0.05, 'R50': 0.03,
           'R32x4': 0.04},
          {'R110': 0.40, 'VGG13': 0.355, 'W-28-2': 0.47, 'W-40-2': 0.31, 'W-16-4': 0.26, 'W-28-4': 0.12, 'R50': 0.08,
           'R32x4': 0.09})


def _by_teacher(student: int, alone: float):
    """Rows of one student: alone, and taught by each teacher, plainly and by a distiller that was found before."""
    yield Row('student alone', {'compression.student_scale': SHARES[student]['R110']}, alone)
    for name, (backbone, width, params, *figures) in TEACHERS.items():
        teacher = {'model.architecture.backbone': dict(backbone), 'model.architecture.head.in_channels': width,
                   'model.teacher': f'work_dirs/teacher_{name.lower()}_cifar100/teacher.pth',
                   'compression.student_scale': SHARES[student][name]}
        plain, searched = figures[student]
        yield Row(f'{name}, KD', {**teacher, **LOGITS}, plain, x=params, curve='KD')
        yield Row(f'{name}, KD-Zero', {**teacher, **FOUND}, searched, x=params, curve='KD-Zero')


SIZE = dict(recipes={'full': PAIR}, reference='student alone', axis='parameters of the teacher, M', gain=True, notes=(
    'Figure 2 of the paper is the same figures less those of the student alone, and so is the picture of ours.',
    f'{INSTEAD} One serves for all teachers.',
    'Teachers are trained first, by configs/teacher/teacher_resnet56_cifar100.py with the keys of model.architecture.'))
RESNET_20 = Table(
    name='kd_zero_r20', title='Size of the teacher of ResNet-20', source='KD-Zero, Table 7 and Figure 2',
    overrides=NO_SEARCH, rows=tuple(_by_teacher(0, 69.06)), **SIZE)
WRN_16_2 = Table(
    name='kd_zero_w16', title='Size of the teacher of WRN-16-2', source='KD-Zero, Table 8 and Figure 2',
    overrides={**NO_SEARCH, 'compression.student_architecture.backbone': dict(
        type='mmamd.WideResNet', depth=16, widen_factor=2),
               'compression.student_architecture.head.in_channels': 128},
    rows=tuple(_by_teacher(1, 73.26)), **SIZE)


def _review(**options) -> dict:
    return {'model.losses.review': dict(type='mmamd.ReviewKDLoss', layers=STAGES, **options)}


ASSISTANT = {'method.type': 'mmamd.TAKD', 'method.assistants': (0.5,)}
SEVERAL = {'method.type': 'mmamd.DGKD', 'method.assistants': (0.5,)}
DESIGNS = Table(
    name='kd_zero_designs', title='Found distillers with other designs', source='KD-Zero, Table 2',
    recipes={'micro': SEARCH.recipes['micro'], 'full': PAIR}, teachers=SEARCH.teachers, overrides=NO_SEARCH,
    at={'micro': {**KD, 'student.train_cfg.max_epochs': 12}},
    rows=(Row('Review', _review(), 71.89), Row('Review, KD-Zero', _review(genome=MAPS), 72.27),
          Row('Assistant', {**LOGITS, **ASSISTANT}, 71.06), Row('Assistant, KD-Zero', {**FOUND, **ASSISTANT}, 71.89),
          Row('several teachers', {**LOGITS, **SEVERAL}, 71.24),
          Row('several teachers, KD-Zero', {**FOUND, **SEVERAL}, 72.22)),
    reference='Review',
    notes=(f'{INSTEAD} In Review, which compares maps, they are normalised maps.',
           'Of WRN-16-2: Review 76.20 and 76.62, assistant 75.35 and 76.05, several teachers 75.22 and 76.72 %.',
           'Several teachers are the average of AVE-MKD in the paper; here an assistant teaches beside the teacher.',
           'Not here are PE, NORM, L2T-ww and AE-MKD, which no term of ours is, and ONE, BYOT and DML, which have no '
           'trained teacher.'))

SPACES = {'whole space': {}, 'without transforms': {'transforms': ['no']}, 'of one weight': {'weights': [1.]},
          'of one temperature': {'taus': [1.]}, 'without calibration': {'calibrations': ['no']},
          'norms alone': {'transforms': NORMS}, 'focal alone': {'calibrations': ['focal']},
          'weights of at most 1': {'weights': [0.01, 0.1, 1.]},
          **{f'{what} alone': {'inputs': [what]} for what in ('feature', 'embedding', 'logits')}}
SPACE = Table(
    name='kd_zero_space', title='Narrowed spaces', source='KD-Zero, Figures 9 and 10', recipes={'full': PAIR},
    rows=(*(Row(name, {f'search.space.{key}': value for key, value in options.items()},
                72.05 if not options else 'missing') for name, options in SPACES.items()),
          Row('random search', {'search.evolution.method': 'random'}, 'missing')),
    reference='whole space',
    notes=('Figures without numbers: norms, the focal calibration and small weights are better than others of their '
           'kind, features better than logits and embeddings, and without transforms, weights or temperatures it is '
           'worse.',))
SEGMENTATION = Table(
    name='kd_zero_segmentation', title='Segmentors on Cityscapes, mIoU', source='KD-Zero, Table 6', recipes={},
    measure='mIoU',
    rows=(Row('DeepLabV3-R18 alone', paper=74.21), Row('DeepLabV3-R18, DIST', paper=77.10),
          Row('DeepLabV3-R18, KD-Zero', paper=77.38), Row('PSPNet-R18 alone', paper=72.55),
          Row('PSPNet-R18, CIRKD', paper=74.73), Row('PSPNet-R18, KD-Zero', paper=76.25)),
    reference='PSPNet-R18 alone',
    notes=('Figures of the paper alone, to be shown (--show): students are cut out of their teachers here, and '
           'configs/kd_zero/README.md has the options by which a found distiller teaches them.',
           'The teacher, DeepLabV3-R101, has 78.07 %; in the text it is PSPNet-R101, and the gains are exchanged.'))
