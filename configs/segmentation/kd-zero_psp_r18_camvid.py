"""PSPNet over a half-width ResNet-18 -> 15 % of its backbone on CamVid by a distiller of KD-Zero's space.

It takes the place of the logit and feature terms of kd_psp_r18_camvid.py. Logits are compared as maps, pixel by pixel.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: no row; the paper's segmentation (Table 6) is of CityScapes, and it prints no distiller that it has found.
Teacher: as configs/segmentation/psp_r18_camvid.py; what configs/kd_zero/search_kd-zero_vit-tiny_digits.py or another
    search finds on a classifier stands in the place of the genome.
Command: tools/dist_train.sh configs/segmentation/kd-zero_psp_r18_camvid.py 1
    Another distiller: --cfg-options model.losses.found.genome='in:[...] trans:[...|...|...] dist:[...] ...'
Hardware: one CPU core that multiplies in bfloat16. Hours: not measured.
Schedule: student, what one and a half times the cost of 300 steps of plain distillation leaves; SGD, 2e-2, 8 images a
    step, poly, as configs/segmentation/psp_r18_camvid.py.
Measured: not run.
"""
_base_ = ['kd_psp_r18_camvid.py']

model = dict(losses=dict(
    logit=dict(weight=0.0),
    feat=dict(weight=0.0),
    found=dict(
        type='mmamd.GenomeLoss',
        genome='in:[logits] trans:[softmax_C|no|no] dist:[Correlation] cal:[no] weight:[10] tau:[1]')))
