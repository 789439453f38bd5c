"""What runs that search have in common."""

QUICK = {'method.type': 'mmamd.KD', 'student.train_cfg.max_epochs': 2, 'randomness.seed': 0, 'visualizer': None,
         **{f'{split}_dataloader.num_workers': 0 for split in ('train', 'val', 'test')}}


def stage_named(context, name):
    return next(stage for stage in context.stages if stage.name == name)
