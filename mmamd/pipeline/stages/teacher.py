"""Train the teacher, where the config names none."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mmengine.dist import barrier, is_main_process

from mmamd.pipeline.config.host_parts import building, check_runtime, check_schedule_parts
from mmamd.pipeline.config.kinds import STAGE, check_kinds
from mmamd.pipeline.config.settings import pretrained_sources, refuse_sync_bn, teacher_settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.images.preprocessor import check_preprocessor
from mmamd.pipeline.inputs import Weights
from mmamd.pipeline.stages.single_images import check_single_images
from mmamd.pipeline.stages.training import TrainingStage, check_schedule, keep_last_weights, train, training_fields
from mmamd.registry import MODELS
from mmamd.structures import Network
from mmamd.weights.checkpoint import check_start, warn_of_normalisation
from mmamd.weights.networks import save_networks


@dataclass(frozen=True, kw_only=True)
class Teacher(TrainingStage):
    """Train a network by a config of its own: ``teacher.pth``.

    Attributes:
        model: Config of the network, without the places of weights that it starts from.
        sources: Weights that it starts from, wherever its config names them.
        data_preprocessor: Of its config.
    """

    kind: ClassVar[str] = 'teacher'
    name: str = 'teacher'
    model: dict
    sources: tuple[Weights, ...] = ()
    data_preprocessor: dict | None = None

    @classmethod
    def of(cls, context: Context) -> 'Teacher':
        """The stage that a config asks for.

        Raises:
            ValueError, FileNotFoundError: If there is no config to train it by.
        """
        path = context.cfg.get('teacher_config')
        if path is None:
            raise ValueError('there is no teacher: set model.teacher to a checkpoint, or teacher_config to the config '
                             'that trains one')
        if not Path(path).is_file():
            raise FileNotFoundError(f'teacher_config={path!r} is not a file; expected a config that trains '
                                    'model.architecture')
        cfg = teacher_settings(context.cfg)
        refuse_sync_bn(cfg)
        check_kinds(cfg, STAGE, 'teacher_config')
        check_runtime('teacher_config', cfg)
        check_schedule_parts('teacher_config', cfg)
        preprocessor = cfg.get('data_preprocessor')
        fields = training_fields(cfg.to_dict(), 'teacher')
        return cls(model=_without_places(cfg.model.to_dict()), images=context.training_images(fields['loader']),
                   seed=context.seed, sources=tuple(map(Weights, pretrained_sources(cfg))),
                   data_preprocessor=None if preprocessor is None else preprocessor.to_dict(), **fields)

    def check(self, context: Context) -> None:
        """The network that is trained must be the one to compress, and what it starts from must be there."""
        cfg = teacher_settings(context.cfg)
        check_schedule(self, cfg)
        preprocessor = self.model.get('data_preprocessor') or self.data_preprocessor
        check_preprocessor(preprocessor, 'data_preprocessor of teacher_config')
        with building('teacher_config: model', cfg.model):
            network = MODELS.build(copy.deepcopy(cfg.model))  # the host writes defaults into what it builds from
        check_single_images(self, network, context.input_shape, context.task)
        for weights in self.sources:
            check_start(network, weights.source)
            warn_of_normalisation(preprocessor, weights.source)
        trained, expected = network.state_dict(), context.network.state_dict()
        for key in [*expected, *(key for key in trained if key not in expected)]:
            shapes = [tuple(state[key].shape) if key in state else 'absent' for state in (trained, expected)]
            if shapes[0] != shapes[1]:
                raise ValueError(f'teacher_config={context.cfg.teacher_config!r} trains another network than '
                                 f'model.architecture: {key} is {shapes[0]} there and {shapes[1]} here; make the two '
                                 'the same')

    def macs(self, context: Context) -> float:
        return 3. * context.teacher_cost.macs * self.images_seen

    def carry_out(self, context: Context) -> None:
        cfg = teacher_settings(context.cfg)
        runtime = {**cfg, 'launcher': context.cfg.get('launcher', 'none'), 'env_cfg': context.cfg.get('env_cfg')}
        train(context, self, cfg.model.to_dict(), runtime, lambda _: 3 * context.teacher_cost.macs,
              load_from=cfg.get('load_from'))
        weights = keep_last_weights(context.work_dir / self.name, 'teacher.pth')
        if is_main_process():
            save_networks(context.work_dir, self.name, {'1.00': Network(
                context.architecture, weights, cost=context.teacher_cost)})
        barrier()


def _without_places(model: Any) -> Any:
    """A model's config in which ``init_cfg`` names no file: weights are known by their content, and may move."""
    if isinstance(model, dict):
        blank = {'checkpoint': None} if model.get('type') == 'Pretrained' else {}
        return {key: _without_places(item) for key, item in model.items()} | blank
    return [_without_places(item) for item in model] if isinstance(model, (list, tuple)) else model
