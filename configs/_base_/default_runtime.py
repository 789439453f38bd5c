"""What every run shares: hooks, logging, environment, seed."""
default_scope = 'mmpretrain'  # un-prefixed types are MMPretrain's; ours carry the prefix 'mmamd.'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),  # iterations
    param_scheduler=dict(type='ParamSchedulerHook'),
    # Two are kept: a run killed while it writes the second continues from the first.
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),  # epochs
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # Idle until `tools/test.py --show` or `--show-dir` enables it.
    visualization=dict(type='VisualizationHook', enable=False))

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))  # the pipeline takes gloo where there is no GPU

visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
