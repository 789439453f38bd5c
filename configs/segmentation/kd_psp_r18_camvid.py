"""PSPNet over a half-width ResNet-18 -> 15 % of its backbone on CamVid by plain KD, the baseline of psp_r18_camvid.py.

The teacher distils straight into the student, from the same ranked, pruned and refit weights and by the same schedule.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row; a small segmentor on real scenes.
Teacher: as configs/segmentation/psp_r18_camvid.py.
Command: tools/dist_train.sh configs/segmentation/kd_psp_r18_camvid.py 1
Hardware: one CPU core. Hours: not measured.
Schedule: student 300 steps, as configs/segmentation/psp_r18_camvid.py.
Measured: not run.
"""
_base_ = ['psp_r18_camvid.py']

method = dict(type='mmamd.KD')
