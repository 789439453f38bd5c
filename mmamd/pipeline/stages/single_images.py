"""Batches of one image, on which some networks cannot be trained."""

import torch
import torch.nn as nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmamd.distillation.distiller import AMDDistiller
from mmamd.passes import frozen_eval, watch
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages.training import TrainingStage
from mmamd.tasks import Task


def check_single_images(stage: TrainingStage, network: nn.Module, input_shape: tuple[int, int, int],
                        task: Task) -> None:
    """Refuse a stage with a batch of one image where a batch norm reads one value of each channel, as behind a pooling.

    Args:
        stage: That trains.
        network: What is trained, of any weights.
        input_shape: (channels, height, width) of an image.
        task: Of the network.

    Raises:
        ValueError: With the batch norm, the number of images, and what to do.
    """
    if smallest_batch(stage) > 1:
        return
    norms = [name for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
    image = next(network.parameters()).new_zeros(1, *input_shape)
    with frozen_eval(network), torch.no_grad(), watch(
            network, norms, lambda output, _before: output.numel() == output.shape[1]) as is_single:
        network(image, [task.example(network)], mode='loss')
    for name, single in is_single.items():
        if single:
            raise ValueError(f"stage '{stage.name}': a batch of one image gives the batch norm {name} one value of "
                             f'each channel, on which it cannot be trained; {_remedy(stage)}')


def check_single_images_of(stage: TrainingStage, distiller: AMDDistiller, context: Context) -> None:
    """The same of a distiller, whose terms may have batch norms of their own, or compare the images of a batch.

    Args:
        stage: That trains.
        distiller: Of any weights; what its terms remember of batches is another afterwards.
        context: Of the run.

    Raises:
        ValueError: With what cannot be trained, the number of images, and what to do.
    """
    check_single_images(stage, distiller.network, context.input_shape, context.task)
    if smallest_batch(stage) > 1:
        return
    with distiller.dry() as (inputs, samples), torch.no_grad(), torch.random.fork_rng(devices=[]):
        targets = distiller.teach(inputs, samples)
        distiller.activate(distiller.candidates[0])
        distiller.terms.train()
        try:
            distiller.loss(inputs, samples, targets)
        except ValueError as error:
            raise ValueError(f"stage '{stage.name}': a term of the loss cannot be trained on a batch of one image: "
                             f'{error}; {_remedy(stage)}') from error
        finally:
            distiller.activate(None)


def _remedy(stage: TrainingStage) -> str:
    return (f"set train_dataloader.batch_size to 2 or more, got {stage.loader.settings['batch_size']}, and "
            'drop_last=True where images are left over')


def smallest_batch(stage: TrainingStage) -> int:
    """Images of the smallest batch of a process; as many as configured where the sampler is not the host's."""
    loader = stage.loader.settings
    size, sampler = loader.get('batch_size'), loader.get('sampler') or {}
    if size is None:
        return 2  # of a batch sampler nothing is known
    if loader.get('drop_last', False) or str(sampler.get('type')).rpartition('.')[2] != 'DefaultSampler':
        return size
    share = -(-stage.images.num // stage.processes)
    return share % size or size
