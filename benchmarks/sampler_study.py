"""Which candidates to train in a step, and for how long: accuracy of the student against cost, on real images.

ViT-micro on CIFAR-100 at a small budget: 100 images a class, five student epochs. The points differ in the joint stage
alone; plain KD is given more student epochs, too, as many as cost what AMD costs.

    python benchmarks/sampler_study.py run --data data/cifar100 --teacher data/vit-micro_cifar100.pth --seeds 0 1 2
    python benchmarks/sampler_study.py table
"""

import study

ROWS = study.ROOT / 'results' / 'sampler_study' / 'rows.jsonl'
# Name -> schedules and sampler; without joint epochs, plain KD.
POINTS = {
    'kd': dict(student_epochs=5),
    'kd, 10 epochs': dict(student_epochs=10),  # costs about what `random, 3 joint epochs` costs
    'kd, 11 epochs': dict(student_epochs=11),  # ... and `smallest + random, 3 joint epochs`
    'kd, 21 epochs': dict(student_epochs=21),  # ... and `smallest + random, 6 joint and 10 student epochs`
    'smallest + random, 6 joint and 10 student epochs': dict(
        student_epochs=10, joint_epochs=6, sampler='smallest_random'),
    'random, 2 joint epochs': dict(student_epochs=5, joint_epochs=2, sampler='random'),
    'random, 3 joint epochs': dict(student_epochs=5, joint_epochs=3, sampler='random'),
    'random halved, 3 joint epochs': dict(student_epochs=5, joint_epochs=3, sampler='random', halve_after=[1, 2]),
    'smallest + random, 3 joint epochs': dict(student_epochs=5, joint_epochs=3, sampler='smallest_random'),
    'smallest + random halved, 3 joint epochs': dict(
        student_epochs=5, joint_epochs=3, sampler='smallest_random', halve_after=[1, 2]),
    'random, 5 joint epochs': dict(student_epochs=5, joint_epochs=5, sampler='random'),
    'random halved, 5 joint epochs': dict(student_epochs=5, joint_epochs=5, sampler='random', halve_after=[1, 2, 3]),
    'sandwich, 5 joint epochs': dict(student_epochs=5, joint_epochs=5, sampler='sandwich'),
    'all halved, 5 joint epochs': dict(student_epochs=5, joint_epochs=5, sampler='all', halve_after=[1, 2, 3]),
    'all, 5 joint epochs': dict(student_epochs=5, joint_epochs=5, sampler='all')}


def job(settings, seed, work_dir, args):
    """One run."""
    return study.carry_out(study.config(seed, args, **settings), work_dir)


if __name__ == '__main__':
    study.command_line(__doc__, POINTS, ROWS, job, lambda rows: study.table(rows, 'all, 5 joint epochs'))
