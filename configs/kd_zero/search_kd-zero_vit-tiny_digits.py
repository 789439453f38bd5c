"""ViT-tiny -> 10 % of its MACs on handwritten digits by a distiller that KD-Zero searches, in minutes on a CPU.

Paper: KD-Zero: Evolving Knowledge Distiller for Any Teacher-Student Pairs, NeurIPS 2023.
Row: no row; bundled data, to see a full search at work beside a random one.
Teacher: configs/teacher/teacher_vit-tiny_digits.py, which the run trains as its first stage.
Command: tools/dist_train.sh configs/kd_zero/search_kd-zero_vit-tiny_digits.py 1
    Another seed: --cfg-options randomness.seed=1
Hardware: one CPU core. Hours: 0.3 to 0.4 for both searches, other programs beside them.
Schedule: 200 distillers and as many by chance, each tried for 2 epochs (36 steps), then student 30 epochs; AdamW, 2e-3,
    64 images a step (ours).
Measured: not run. Its searches alone were, with three seeds: results/2026-11-26_kd_zero.md.
"""
_base_ = ['../amd/vit-tiny_digits.py']

model = dict(losses=dict(logit=dict(weight=0.0), feat=dict(weight=0.0)))  # in their place: what is found
method = dict(type='mmamd.KD')
search = dict(
    type='mmamd.KDZeroSearch',
    evolution=dict(evaluations=200, population=20),
    proxy_epochs=2,
    random=True)

student = dict(param_scheduler=[
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=18),  # half of what a proxy trains
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, convert_to_iter_based=True)])
