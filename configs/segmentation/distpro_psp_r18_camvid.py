"""PSPNet over a half-width ResNet-18 -> 15 % of its backbone on CamVid by a process that was searched on a classifier.

The process of ResNet-34 and ResNet-18, of which the four stages are levels of this pair as well; it takes the place of
the feature term of kd_psp_r18_camvid.py.

Paper: DistPro: Searching A Fast Knowledge Distillation Process via Meta Optimization, ECCV 2022.
Row: no row; the paper's segmentation is of CityScapes.
Teacher: as configs/segmentation/psp_r18_camvid.py; the process as configs/distpro/search_distpro_resnet34_imagenet.py.
Command: tools/dist_train.sh configs/segmentation/distpro_psp_r18_camvid.py 1
    Of four levels: --cfg-options model.losses.process.file=/path/to/process.json model.losses.process.level_map=None
Hardware: one CPU core that multiplies in bfloat16. Hours: not measured.
Schedule: student, what one and a half times the cost of 300 steps of plain distillation leaves; SGD, 2e-2, 8 images a
    step, poly, as configs/segmentation/psp_r18_camvid.py.
Measured: not run.
"""
_base_ = ['kd_psp_r18_camvid.py']

model = dict(losses=dict(
    feat=dict(weight=0.0),
    process=dict(
        type='mmamd.ProcessLoss',
        layers=[(f'backbone.layer{i}.1.relu:in', f'backbone.layer{i}.1.relu:in') for i in (1, 2, 3, 4)],
        level_map=[0, 1, 2, 3],  # without the fifth, which a classifier reads
        file='work_dirs/search_distpro_resnet34_imagenet/search/process.json')))
