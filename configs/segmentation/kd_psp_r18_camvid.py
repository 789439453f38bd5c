"""PSPNet over a half-width ResNet-18 -> 15 % of its backbone on CamVid by plain KD, the baseline of psp_r18_camvid.py.

The teacher distils straight into the student, from the same ranked, pruned and refit weights and by the same schedule.

Paper: AMD: Automatic Multi-step Distillation of Large-scale Vision Models, ECCV 2024, supplement, section 7.
Row: no row; a small segmentor on real scenes.
Teacher: as configs/segmentation/psp_r18_camvid.py.
Command: tools/dist_train.sh configs/segmentation/kd_psp_r18_camvid.py 1
Hardware: one CPU core that multiplies in bfloat16, shared with other programs; score to export took 8 to 12 minutes.
Schedule: student 450 steps, for one and a half times the cost of 300 steps, as configs/segmentation/psp_r18_camvid.py.
Measured: results/2026-11-26_camvid.md: test mIoU 38.80 % (teacher 39.66 %), the mean of seeds 0, 1 and 2, with --amp.
"""
_base_ = ['psp_r18_camvid.py']

method = dict(type='mmamd.KD')
