"""ScaleKD's pairs of teachers and students, and those of its tables that are of other methods too."""

from tables.scalekd import ALONE, BOTH, CAP, FD, FD_BOTH_STAGES, KD, MICRO, TEACHERS, TERM
from tables.table import Row, Table


def _teacher(arch: str, width: int, key: str, heads: tuple[int, int], scale: float) -> dict:
    """Overrides of a Swin that teaches ResNet-50, which has so much of its MACs."""
    return {'model.architecture.backbone.arch': arch, 'model.architecture.head.in_channels': width,
            'model.teacher': key, f'{TERM}.heads': heads, 'compression.student_scale': scale}


SWIN_S = _teacher('small', 768, 'swin-small_16xb64_in1k', (3, 6), 0.47)
SWIN_B = _teacher('base', 1024, 'swin-base_in21k-pre-3rdparty_in1k', (8, 16), 0.265)
SWIN_L = _teacher('large', 1536, 'swin-large_in21k-pre-3rdparty_in1k', (16, 24), 0.12)
OF_MIXER = {'compression.student_scale': 0.43}
FULL = 'scalekd/swin-l_{}_imagenet.py'.format
MIXER = {'micro': 'scalekd/vit-micro_mixer-micro_cifar100.py', 'full': FULL('mixer-s')}


def _advanced(name: str, overrides: dict, paper: float, **more) -> Row:
    return Row(name, overrides, paper, recipes={'full': FULL('resnet50-advanced')}, **more)


def _mixer(name: str, overrides: dict, paper: float) -> Row:
    return Row(name, overrides, paper, recipes=MIXER, at={'full': {**SWIN_S, **OF_MIXER}})


PILOT = Table(
    name='scalekd_1', title='ScaleKD and feature distillation over architectures', source='ScaleKD, Table 1',
    recipes={'micro': 'scalekd/vit-micro_resnet20_cifar100.py', 'full': 'scalekd/swin-s_resnet50_imagenet.py'},
    teachers=TEACHERS, overrides=KD, at=MICRO,
    rows=(Row('ResNet-50, baseline', ALONE, 76.55), Row('ResNet-50, FD (s4)', FD, 77.43),
          Row('ResNet-50, FD (s3 + s4)', FD_BOTH_STAGES, 77.74), Row('ResNet-50, ScaleKD', BOTH, 79.30),
          _mixer('Mixer-S, baseline', ALONE, 74.02), _mixer('Mixer-S, FD (s4)', FD, 74.88),
          _mixer('Mixer-S, FD (s3 + s4)', FD_BOTH_STAGES, 75.32),
          _mixer('Mixer-S, ScaleKD', BOTH, 77.24)),
    reference='ResNet-50, baseline',
    notes=('Without logits. At the micro budget ResNet-20 and a small Mixer learn from ViT-micro.',
           "FD averages Mixer-S's maps, 14 x 14, to the 7 x 7 of Swin-S; the paper does not say what it did."))
TEACHER_SIZE = Table(
    name='scalekd_2', title='Size of the teacher of a ResNet-50', source='ScaleKD, Table 2',
    recipes={'full': 'scalekd/swin-l_resnet50_imagenet.py'}, overrides=KD,
    rows=(Row('traditional, baseline', ALONE, 76.55), Row('traditional, Swin-S', SWIN_S, 79.62),
          Row('traditional, Swin-B', SWIN_B, 79.80), Row('traditional, Swin-L', SWIN_L, 80.10),
          _advanced('advanced, baseline', ALONE, 78.64), _advanced('advanced, Swin-S', SWIN_S, 81.43),
          _advanced('advanced, Swin-B', SWIN_B, 81.77), _advanced('advanced, Swin-L', SWIN_L, 82.03)),
    reference='traditional, baseline', notes=('Teachers have 83.02, 85.16 and 86.24 %.',))


def _student(name: str, recipe: str, alone: float, paper: float, cost: str, **overrides) -> Row:
    return Row(name, overrides, paper, cost, note=f'student alone {alone:.2f} %', recipes={'full': FULL(recipe)})


MAIN = Table(
    name='scalekd_3', title='Students of Swin-L', source='ScaleKD, Table 3',
    recipes={'full': FULL('resnet50-advanced')}, overrides=KD,
    rows=(_student('MobileNet-V1', 'mobilenet-v1-advanced', 72.10, 75.15, '4.23 M, 0.58 G'),
          _student('ResNet-50', 'resnet50-advanced', 78.64, 82.03, '25.56 M, 4.12 G'),
          _student('ConvNeXt-T', 'convnext-t', 82.14, 84.16, '28.59 M, 4.46 G'),
          _student('Mixer-S/16', 'mixer-s', 74.02, 78.63, '18.53 M, 3.78 G'),
          _student('Mixer-B/16', 'mixer-s', 76.44, 81.96, '59.88 M, 12.61 G', **{
              'compression.student_architecture.backbone.arch': 'b',
              'compression.student_architecture.head.in_channels': 768, 'compression.student_scale': 0.366,
              f'{TERM}.student_layers': ('backbone.layers.8', 'backbone.ln1')}),
          _student('ViT-S/16', 'vit-s', 79.90, 83.93, '22.05 M, 4.61 G'),
          _student('Swin-T', 'swin-t', 81.18, 83.80, '28.29 M, 4.36 G'),
          _student('ViT-B/16', 'vit-b', 81.80, 85.53, '86.57 M, 17.58 G')),
    reference='ResNet-50',
    notes=('Swin-L has 86.24 %, 196.53 M parameters and 34.04 G FLOPs.',
           'Students of BEiT-L/14 (88.58 %) are not here, as it has no elastic backbone: ResNet-50 82.34, Mixer-B/14 '
           '82.89 (alone 76.62), ViT-B/14 86.43 (alone 82.02) %.'))
SWIN = Table(
    name='scalekd_swin', title='ScaleKD of a small Swin', source='ours', recipes={
        'micro': 'scalekd/swin-micro_resnet20_cifar100.py'},
    teachers={'micro': 'results/teachers/swin-micro_cifar100.pth'}, overrides=KD, at=MICRO, reference='baseline',
    rows=(Row('baseline', ALONE), Row('FD', FD), Row('CAP', CAP), Row('ScaleKD', {})),
    notes=('FD averages the maps of ResNet-20, 8 x 8, to the 4 x 4 of Swin-micro.',))

PROBES = {
    'from scratch': '33.86/60.30/66.77/72.65/81.76', 'CLIP, LAION-300M': '-/-/71.96/77.21/84.07',
    'CLIP, LAION-2B, IN-1K': '41.10/69.00/72.34/78.64/85.51',
    'CLIP, LAION-2B, IN-12K, IN-1K': '44.90/70.19/76.77/81.43/88.88',
    'CLIP, OpenAI, IN-12K, IN-1K': '47.40/70.85/77.37/81.52/83.92',
    'ScaleKD, ViT-B/14': '48.14/70.91/71.52/81.50/89.11',
    'teacher, BEiT-L/14': '63.74/85.20/87.39/89.27/93.36'}
PROBE = Table(
    name='scalekd_12', title='Linear probe on CIFAR-100, 1/5/10/25 shots/all', source='ScaleKD, Table 12', recipes={},
    rows=tuple(Row(name, paper=tops) for name, tops in PROBES.items()),
    reference='from scratch',
    notes=('Figures of the paper alone, to be shown (--show); the recipe of a probe is transfer_vit-b_cifar100.py of '
           'configs/scalekd/, of ViT-B/16 and Swin-L: there is no elastic BEiT.',
           'Of ScaleKD 71.52 is printed for ten shots; 77.52 would fit its neighbours.'))
CNN_METHODS = Table(
    name='scalekd_13', title='MobileNet-V1 by methods for CNNs', source='ScaleKD, Table 13',
    recipes={'full': FULL('mobilenet-v1')}, overrides=KD,
    rows=(Row('From Scratch', ALONE, 69.63), Row('ScaleKD, Swin-L', {}, 74.21)), reference='From Scratch',
    notes=('A ResNet-50 of 76.16 % teaches in the other rows: KD 70.68, AT 70.72, OFD 71.25, RKD 71.23, CRD 71.40, '
           'DKD 72.05, SRRL 72.49, ReviewKD 72.56, DIST 73.24, DistPro 73.26, MGD 73.35, DiffKD 73.62 %.',))
TIME = Table(
    name='scalekd_15a', title='Cost by the size of the teacher', source='ScaleKD, Table 15a',
    recipes={'full': 'scalekd/swin-l_resnet50_imagenet.py'}, overrides=KD,
    rows=(Row('Swin-S, FD', {**SWIN_S, **FD}, 77.43, '3.66 G, 1.67 d'),
          Row('Swin-S, ScaleKD', SWIN_S, 79.62, '6.65 G, 2.10 d'),
          Row('Swin-B, FD', {**SWIN_B, **FD}, 77.76, '3.66 G, 1.83 d'),
          Row('Swin-B, ScaleKD', SWIN_B, 79.80, '7.26 G, 2.53 d'),
          Row('Swin-L, FD', {**SWIN_L, **FD}, 77.72, '4.72 G, 2.24 d'),
          Row('Swin-L, ScaleKD', SWIN_L, 80.10, '9.1 G, 3.51 d', note='the last digit of the memory is missing')),
    reference='Swin-S, FD', notes=('Costs are memory of a GPU and days on 8 V100.',))
PRE_TRAINING = Table(
    name='scalekd_16', title='ViT-S/16 from scratch, by logits, by ScaleKD', source='ScaleKD, Table 16',
    recipes={'full': FULL('vit-s')}, overrides=KD,
    rows=(Row('from scratch', ALONE, 79.90),
          Row('from scratch with KD', {f'{TERM}.weight': 0., 'model.losses.logit': dict(
              type='mmamd.LogitLoss', weight=0.5)}, 81.42),
          Row('ScaleKD', {}, 83.93)),
    reference='from scratch',
    notes=('Pre-training on ImageNet-22k is not here: 80.05 % without and 82.00 % with KD.',
           'The paper does not say the weights of its KD; ours are those of the logits in ScaleKD.'))
ADE20K = Table(
    name='scalekd_6', title='UPerNet on ADE20K, mIoU', source='ScaleKD, Table 6', recipes={},
    measure='mIoU',
    rows=(Row('ResNet-50', paper=42.37), Row('ResNet-50, ScaleKD', paper=44.50), Row('Swin-T', paper=44.41),
          Row('Swin-T, ScaleKD', paper=46.33), Row('ViT-B', paper=46.75), Row('ViT-B, ScaleKD', paper=50.84)),
    reference='ResNet-50',
    notes=('Figures of the paper alone, to be shown (--show); the recipes are transfer_upernet_*_ade20k.py of '
           'configs/segmentation/.',))
