"""What every run on MMSegmentation's networks shares: default_runtime.py with the host's own scope and pictures."""
_base_ = ['default_runtime.py']

default_scope = 'mmseg'  # un-prefixed types are MMSegmentation's; ours carry the prefix 'mmamd.'
# Idle until `tools/test.py --show` or `--show-dir` enables it.
default_hooks = dict(visualization=dict(_delete_=True, type='SegVisualizationHook', draw=False))
visualizer = dict(_delete_=True, type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
