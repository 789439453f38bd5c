"""What ``default_hooks.checkpoint`` may say: a stage is resumed from its checkpoints, and delivers the last one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmamd.pipeline.stages.training import TrainingStage

# Option -> the one value under which a stage can be continued, and why.
NEEDED = {'out_dir': (None, 'checkpoints are looked for in the folder of their stage, so that a work_dir may move'),
          'filename_tmpl': (None, 'checkpoints are looked for under the name epoch_N.pth'),
          'save_optimizer': (True, 'a run that continues needs the state of the optimizer'),
          'save_param_scheduler': (True, 'a run that continues needs the state of the schedule')}


def check_checkpoints(stage: 'TrainingStage', default_hooks: dict | None) -> None:
    """Refuse checkpoints, counted in epochs, from which a stage could not be continued or its network not delivered.

    Raises:
        ValueError: With the setting, its value, what was expected, and what to do.
    """
    where, of = 'default_hooks.checkpoint', f"of the stage '{stage.name}'"
    hook = (default_hooks or {}).get('checkpoint', {})
    if not isinstance(hook, dict):
        raise ValueError(f'{where}={hook!r} {of}: a stage delivers its last checkpoint, so it needs the hook; expected '
                         "dict(type='CheckpointHook', interval=1), or leave the key out")
    for key, (needed, why) in NEEDED.items():
        if hook.get(key, needed) != needed:
            raise ValueError(f'{where}.{key}={hook[key]!r} {of}: {why}; expected {needed}, or leave it out')
    interval = hook.get('interval', 1 if not hook else -1)  # the hook's own default saves the last epoch alone
    if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
        raise ValueError(f'{where}.interval={interval!r} {of}: a run that is stopped continues at a checkpoint; '
                         'expected a number of epochs of at least 1, e.g. interval=1')
    if hook.get('max_keep_ckpts', -1) == 1:
        raise ValueError(f'{where}.max_keep_ckpts=1 {of}: MMEngine deletes the oldest checkpoint before it writes the '
                         'next, so a run that is stopped between has none; expected 2 or more, or -1 for all')
    epochs = stage.schedule['train_cfg']['max_epochs']
    last = epochs - hook.get('save_begin', 0)
    # Within a budget the number of epochs is not known before; each may be the last.
    hits_last = interval == 1 if getattr(stage, 'budget', None) else last >= 0 and last % interval == 0
    if not hook.get('save_last', True) and not hits_last:
        raise ValueError(f'{where}.save_last={hook["save_last"]!r} {of}: every {interval} epochs miss the last one of '
                         f'{epochs}, whose weights the stage delivers; leave save_last out, or set interval=1')
