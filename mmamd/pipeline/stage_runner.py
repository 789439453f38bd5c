"""The ordinary Runner that carries one stage."""

import logging
from pathlib import Path
from pprint import pformat

from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mmamd import compat
from mmamd.pipeline.tensorboard import in_one_folder


class StageConfig(Config):
    """A config that is quickly written: it holds what candidates keep, a number for each layer.

    The host lays a config out with a formatter of source code whenever it logs, dumps or checkpoints one, which takes
    seconds each time for so many numbers.
    """

    @property
    def pretty_text(self) -> str:
        return ''.join(f'{key} = {pformat(value, width=120, sort_dicts=False)}\n'
                       for key, value in self.to_dict().items())


class StageRunner(Runner):
    """MMEngine's Runner with a quiet console: the stage's log goes to its file, progress to the pipeline's lines."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.setLevel(logging.WARNING)
                # The host warns of its own use of its own deprecated classes, in every stage.
                handler.addFilter(lambda record: 'will be deprecated in future' not in record.getMessage())
        return logger


def build_stage_runner(settings: dict, stage: str, folder: Path, **overrides) -> StageRunner:
    """Runner of one stage in its own folder.

    Args:
        settings: Merged settings of the stage, with the top level's runtime keys.
        stage: Name of the stage; part of the experiment's name, since two runners of one second and one name would
            share logger and message hub.
        folder: The stage's folder.
        **overrides: Runner arguments that replace those of the settings; None drops them.
    """
    keys = ('model', 'default_hooks', 'custom_hooks', 'data_preprocessor', 'launcher', 'env_cfg', 'log_processor',
            'log_level', 'visualizer', 'default_scope', 'randomness')
    arguments = {key: settings[key] for key in keys if settings.get(key) is not None}
    if 'visualizer' in arguments:
        # Without a name each runner has a visualizer of its own; of one name the first would log for all stages.
        own = {key: value for key, value in arguments['visualizer'].items() if key != 'name'}
        part = stage.removeprefix(f'{folder.name}_')  # of a stage that has several runners
        arguments['visualizer'] = in_one_folder(own, folder.parent, '/'.join(dict.fromkeys((folder.name, part))))
    arguments |= overrides
    if is_distributed():
        arguments['model_wrapper_cfg'] = compat.model_wrapper_cfg()
    config = StageConfig({**arguments, 'work_dir': str(folder), 'experiment_name': f'{folder.parent.name}_{stage}'},
                    cfg_text=f'# stage {stage}', filename=f'{stage}_settings.py')
    return StageRunner.from_cfg(config)
