"""The search as a training: before each step of the weights the alphas make theirs."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmamd.checks import COUNT, check
from mmamd.distillation.distiller import distiller_of
from mmamd.distillation.joint_loop import JointTrainLoop
from mmamd.registry import LOOPS
from mmamd.search.distpro.alpha_update import AlphaUpdate
from mmamd.search.distpro.held_out import check_apart, endless
from mmamd.search.distpro.hyper_gradient import RADIUS
from mmamd.search.distpro.recorder import Recorder
from mmamd.tasks import task_of

KEY = 'process_search'  # in a checkpoint


@LOOPS.register_module()
class ProcessSearchLoop(JointTrainLoop):
    """Epochs of joint steps of one student, and beside them :class:`AlphaUpdate` on held-out images.

    What it has found is ``recorder.process()``: its first point is the first step, its last one the end.

    Args:
        runner, dataloader, max_epochs, val_begin, val_interval: Of the host's loop.
        held_out: Loader of the held-out images, or its config, without mixup; it begins anew where it ends.
        lr, betas, radius: Of the update.
        every: Steps of the weights for each of the alphas.
        record_every: Steps between recorded points; by default an epoch.

    Raises:
        ValueError: An option is none of these, or a held-out image is trained on.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, max_epochs: int, val_begin: int = 1,
                 val_interval: int = 1, *, held_out: DataLoader | dict, lr: float = 0.1,
                 betas: tuple[float, float] = (0.5, 0.999), radius: float = RADIUS, every: int = 1,
                 record_every: int | None = None) -> None:
        super().__init__(runner, dataloader, max_epochs, val_begin, val_interval)
        record_every = len(self.dataloader) if record_every is None else record_every
        check('every', every, COUNT)
        check('record_every', record_every, COUNT)
        self.held_out = runner.build_dataloader(held_out, seed=runner.seed) if isinstance(held_out, dict) else held_out
        check_apart(self.dataloader.dataset, self.held_out.dataset)
        self.every, self.record_every = every, record_every
        self.settings = dict(lr=lr, betas=betas, radius=radius)
        self.update: AlphaUpdate | None = None  # made with the first step, when the model is on its device
        self.resumed: dict | None = None
        runner.register_hook(KeepSearch(self))

    def run_epoch(self) -> None:
        self.batches = endless(self.held_out, self.epoch)
        super().run_epoch()

    def prepare(self, data_batch: dict) -> dict:
        data = super().prepare(data_batch)
        if self.update is None:
            self._begin()
        if self.iter % self.record_every == 0:
            self.recorder.record(self.iter)
        if self.iter % self.every == 0:
            network = self.update.distiller.network
            self.update.step(data, task_of(network).preprocess(network, next(self.batches), training=False))
        if self.iter == self.max_iters - 1:
            self.recorder.record(self.max_iters)
        return data

    def _begin(self) -> None:
        self.update = AlphaUpdate(distiller_of(self.runner.model), self.runner.optim_wrapper.optimizer, **self.settings)
        self.recorder = Recorder(self.update.term)
        if self.resumed is not None:
            self.update.load_state_dict(self.resumed['adam'])
            self.recorder.load_state_dict(self.resumed['recorder'])


class KeepSearch(Hook):
    """Adam's state and the recorded points go into checkpoints and come back from them; the alphas are the model's."""

    def __init__(self, loop: ProcessSearchLoop) -> None:
        self.loop = loop

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint[KEY] = {'adam': self.loop.update.state_dict(), 'recorder': self.loop.recorder.state_dict()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.loop.resumed = checkpoint.get(KEY)
