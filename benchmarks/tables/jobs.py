"""A row of a table as a run, at one of three budgets.

- ``smoke``: digits, seconds a row; shows that all rows run, and no figure of it says anything.
- ``micro``: 100 training images a class, five student epochs, judged on held-out training images, as in study.py.
- ``full``: the recipe of the paper's size as it is, judged on the test split.

Segmentors have no draw of so many images a class: at the micro budget a small recipe is run as it is.
"""

import argparse
from pathlib import Path

import study
from mmengine.config import Config

from tables.table import Table

SMOKE = {
    'compression.num_candidates': 2, 'compression.importance': dict(num_images=64, check_teacher=False),
    'compression.refit': dict(num_images=128, num_images_candidates=64), 'joint.train_cfg.max_epochs': 1,
    'student.train_cfg.max_epochs': 1, 'teacher': dict(train_cfg=dict(max_epochs=2))}
SMOKE_TERMS = {'mmamd.CRDLoss': dict(negatives=256)}  # there are 1,157 digits to train on
STUDENT_EPOCHS, JOINT_EPOCHS = 5, 3  # at the micro budget


def config_of(table: Table, budget: str, name: str, seed: int, args: argparse.Namespace) -> Config:
    """Config of a row's run.

    Raises:
        ValueError: If the table cannot be run at this budget, or has no such row.
    """
    overrides, recipe = table.overrides_of(name, budget), study.ROOT / 'configs' / table.recipe(budget, name)
    teacher = args.teacher or (study.ROOT / table.teachers[budget] if budget in table.teachers else None)
    if budget == 'micro' and not table.is_dense:
        cfg = study.config(seed, args, recipe=recipe, teacher=teacher, student_epochs=STUDENT_EPOCHS,
                           joint_epochs=JOINT_EPOCHS, sampler='smallest_random', **overrides)
    else:
        cfg = Config.fromfile(recipe)
        named = {'model.teacher': str(teacher)} if teacher else {}
        small = SMOKE if budget == 'smoke' else {}
        cfg.merge_from_dict({'randomness': dict(seed=seed), **named, **small, **overrides})
        for term in cfg.model.losses.values() if budget == 'smoke' else ():
            term.update({**SMOKE_TERMS.get(term.type, {}), **term})
        if args.data is not None and budget != 'smoke':
            cfg.data_root = str(args.data.resolve())
        if args.amp:
            cfg.optim_wrapper.type = 'AmpOptimWrapper'
            if budget == 'micro':
                cfg.optim_wrapper.dtype = 'bfloat16'
    return cfg


def job(table: Table, budget: str, name: str, seed: int, work_dir: Path, args: argparse.Namespace) -> dict:
    """Run a row; stages that a run of this or another table has made from the same inputs are taken over from there."""
    cfg = config_of(table, budget, name, seed, args)
    cfg.reuse_stages = [str(path.parent) for path in sorted(args.work_dir.parent.glob('*/*/stages.json'))
                        if path.parent != work_dir]
    return study.carry_out(cfg, work_dir)
