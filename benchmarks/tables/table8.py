"""Table 8 of the supplement: segmentors on Cityscapes."""

from tables.table import Row, Table

TABLE = Table(
    name='table8', title='Segmentors on Cityscapes, mIoU', source='AMD, supplement, Table 8', recipes={},
    rows=(Row('DeepLabV3-R18 alone', paper=74.21), Row('DeepLabV3-R18, SKD', paper=75.42),
          Row('DeepLabV3-R18, IFVD', paper=75.59), Row('DeepLabV3-R18, CWD', paper=75.55),
          Row('DeepLabV3-R18, CIRKD', paper=76.38), Row('DeepLabV3-R18, DIST', paper=77.10),
          Row('DeepLabV3-R101 to 15 %, AMD', paper='missing')),
    reference='DeepLabV3-R18 alone',
    notes=('Figures alone, to be shown (--show). The body of the table is missing in what we have of the paper: its '
           'student is 15 % of the teacher, and the other rows are the customary ones, as Table 6 of KD-Zero has them. '
           'Rows that run are compared by the images that they have right, which mIoU has none of.',
           'The teacher, DeepLabV3-R101, has 78.07 %. configs/segmentation/deeplabv3_r101_cityscapes.py is the recipe; '
           'what was run of segmentors, on CamVid, is in results/2026-11-26_camvid.md.'))
