"""What the terms of a run's trainings show of some test images, for the report of the run."""

from dataclasses import asdict

from mmengine.device import get_device

from mmamd.distillation.losses import Loss, build_terms
from mmamd.files.json_file import write_json
from mmamd.pipeline.context import Context
from mmamd.pipeline.examples import spread_indices
from mmamd.structures import Maps

NUM_IMAGES = 64  # in one batch, spread over the classes
FILE = 'terms.json'  # beside the examples


def write_term_pictures(context: Context) -> None:
    """Pictures of the terms that have some, of each training of one network: ``export/terms.json``, by stage.

    Nothing is written where no term has any. To be called by one rank alone.
    """
    trainings = [stage for stage in context.stages
                 if stage.kind == 'distil' and len(stage.into) == 1 and stage.trains == 'student' and any(
                     type(term).pictures is not Loss.pictures for term in build_terms(stage.losses).values())]
    if trainings:
        write_json(context.work_dir / 'export' / FILE, {
            stage.name: [asdict(picture) for picture in _pictures(context, stage)] for stage in trainings})


def _pictures(context: Context, stage) -> list[Maps]:
    """Those of the terms of a training that is finished."""
    distiller, dataset = stage.finished(context).to(get_device()), context.dataset('test')
    images = [dataset[i] for i in spread_indices(context.task.classes_of(dataset), NUM_IMAGES)]
    data = context.task.preprocess(distiller.network, context.task.collate(images), False)
    return distiller.pictures(data['inputs'], data['data_samples'])
