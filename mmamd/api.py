"""What the tools do, as functions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn as nn
from mmengine.config import Config

from mmamd import compat
from mmamd.checks import COUNT, FLAG, NOTHING, TEXT, Kind, check, list_of, number, one_of
from mmamd.structures import Network, scale_key

if TYPE_CHECKING:
    from mmamd.export import Exported


def _is_device(value: object) -> bool:
    try:
        return isinstance(value, (str, torch.device)) and torch.device(value) is not None
    except RuntimeError:  # a name that torch does not know
        return False


PATH = Kind('a path', lambda value: isinstance(value, (str, Path)) and str(value) != '', "'...'")
DEVICE = Kind('the name of a device of torch', _is_device, "'cuda:0'")


def compress(config: str | Path | Config, work_dir: str | Path | None = None, **overrides) -> dict:
    """Run the whole method of a config and return its summary.

    Args:
        config: A config of ``mmamd.MultiStepRunner``, or its file.
        work_dir: Folder of the run; ``work_dirs/<config's name>`` by default. A run that is already there continues.
        **overrides: Config keys, nested as dicts or dotted: ``**{'joint.train_cfg.max_epochs': 3}``.

    Returns:
        The content of ``summary.json``.
    """
    from mmamd.pipeline import MultiStepRunner
    check('config', config, PATH | Kind('a Config', lambda value: isinstance(value, Config), '...'))
    check('work_dir', work_dir, PATH | NOTHING, "work_dir='work_dirs/...' is the folder of the run")
    cfg = config if isinstance(config, Config) else Config.fromfile(config)
    try:
        cfg.merge_from_dict(overrides)
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f'the overrides {overrides!r} do not fit the config: {error}; give dotted keys of what is '
                         "there, e.g. **{'joint.train_cfg.max_epochs': 3}") from error
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif cfg.get('work_dir') is None:
        if cfg.filename is None:
            raise ValueError('the config was not read from a file, so the run has no name; give work_dir=')
        cfg.work_dir = str(Path('work_dirs') / Path(cfg.filename).stem)
    return MultiStepRunner.from_cfg(cfg).train()


def load_student(work_dir: str | Path, device: str = 'cpu', *, scale: float | None = None) -> nn.Module:
    """The small model of a finished run, in eval mode.

    Args:
        work_dir: Folder of the run.
        device: Where it is to be.
        scale: Which one, of a run that delivers several.

    Raises:
        FileNotFoundError: If the run has exported no student, none of the scale, or several and none is named.
        ValueError: If its files are damaged, or name or hold what would run code; nothing of a work_dir is executed.
    """
    from mmamd.export import config_of
    from mmamd.files.run_config import import_custom, read_run_config
    from mmamd.pipeline.outputs import refuse_damage
    from mmamd.pipeline.state import RunState
    from mmamd.tasks import task_named
    from mmamd.weights.networks import read_networks
    check('work_dir', work_dir, PATH, 'give the folder of a finished run')
    check('device', device, DEVICE)
    check('scale', scale, number(above=0., most=1.) | NOTHING, 'leave it out where the run delivers one student')
    state = RunState(Path(work_dir))
    refuse_damage(state, state.of_kind('export'))
    is_exported = (Path(work_dir) / 'export' / 'networks.json').exists()
    network = _delivered(work_dir, read_networks(work_dir, 'export'), scale) if is_exported else None
    folder = Path(network.weights).parent if network else Path(work_dir) / 'student'
    for name in ('config.py', 'student.pth'):
        if not (folder / name).exists():
            raise FileNotFoundError(f'{folder} holds no {name}: the run has not exported its student; finish it by '
                                    'running its config again with the same work_dir')
    run = read_run_config(work_dir)
    import_custom(run, work_dir)
    with compat.registered_types_only():
        return task_named(run.get('default_scope')).rebuild(
            config_of(run, network.architecture), network.weights, device)


def _delivered(work_dir: str | Path, networks: dict[str, Network], scale: float | None) -> Network:
    """The one of the delivered networks that is meant."""
    known = [network.scale for network in networks.values()]
    wanted = [network for network in networks.values() if scale is None or network.key == scale_key(scale)]
    if not wanted:
        raise FileNotFoundError(f'{work_dir} delivers no student of scale {scale}; expected one of {known}')
    if len(wanted) > 1:
        which = f'give the scale of one, {known}' if len(set(known)) == len(known) else (
            f'each is a config.py and a student.pth in {Path(work_dir) / "student"}/NAME, for mmpretrain.get_model')
        raise FileNotFoundError(f'{work_dir} delivers several students, {", ".join(networks)}; {which}')
    return wanted[0]


def export_model(work_dir: str | Path, forms: Sequence[str] = ('pth',), scale: float | str = 'student',
                 out: str | Path | None = None, *, force: bool = False, with_preprocessing: str | None = None,
                 say: Callable[[str], None] = lambda _: None) -> 'list[Exported]':
    """Write any candidate of a run in some forms, without training; each is compared with the sliced network.

    Forms that cannot be made are named before the others are written.

    Args:
        work_dir: Folder of a run.
        forms: Names of :data:`mmamd.export.FORMS`.
        scale: ``'student'``, ``'assistant'``, ``'teacher'``, or the scale of a candidate, or of a student of several.
        out: Folder of the files; ``<work_dir>/exported/<scale>`` by default.
        force: Whether files that are there may be replaced.
        with_preprocessing: ``'nhwc'`` or ``'nchw'`` for graphs of ONNX that take uint8 pixels, RGB or grey, in that
            layout and of the input's size, and normalise them themselves.
        say: Where a line goes about each form that cannot be made, before any is written.

    Returns:
        One entry a form: what was written, or why not.

    Raises:
        FileNotFoundError: If there is no run, or a stage that is needed has not finished.
        ValueError: For an unknown form or scale, and where no form can express the candidate.
        FileExistsError, ImportError, RuntimeError: See :func:`mmamd.export.export_candidate`.
    """
    from mmamd.export import FORMS, LAYOUTS, export_candidate
    check('work_dir', work_dir, PATH, 'give the folder of a run')
    check('forms', forms, list_of(one_of(list(FORMS))), f"give a list, such as forms=['pth'], of {list(FORMS)}")
    check('scale', scale, TEXT | number(above=0., most=1.),
          "give 'student', 'assistant', 'teacher', or the scale of a candidate")
    check('out', out, PATH | NOTHING, 'give a folder, or leave it out for exported/ in the work_dir')
    check('force', force, FLAG)
    check('with_preprocessing', with_preprocessing, one_of(LAYOUTS) | NOTHING)
    from mmamd.pipeline.finished_run import as_its_run, load_candidate
    from mmamd.pipeline.samples import samples_of
    cfg, network, candidate = load_candidate(work_dir, scale)
    folder = Path(work_dir) / 'exported' / candidate.key if out is None else Path(out)
    with as_its_run(cfg):
        samples = None if all(FORMS[name].is_exact for name in forms) else samples_of(cfg, work_dir, network)
        return export_candidate(cfg, network, candidate, forms, folder, force=force, samples=samples,
                                pixels=with_preprocessing, say=say)


def bench(work_dir: str | Path, batch_sizes: Sequence[int] = (1, 64), threads: int | None = None, device: str = 'cpu',
          *, seconds: float = 1.0) -> dict:
    """Time the teacher, the assistant and the student of a run, by torch and by ONNX Runtime, and what integers lose.

    Kept as ``export/bench.json``, and a part of the report, which is written anew.

    Args:
        work_dir: Folder of a run.
        batch_sizes: Images a call.
        threads: That compute one call; those that torch has by default.
        device: Name of a device of torch.
        seconds: That each network is timed for, by each runtime and at each batch size.

    Returns:
        See :func:`mmamd.pipeline.bench.run_bench`; :func:`mmamd.pipeline.bench.format_bench` makes a table of it.

    Raises:
        FileNotFoundError: If there is no run, or it has not delivered its student.
        ValueError: For an argument that is none.
    """
    check('work_dir', work_dir, PATH, 'give the folder of a finished run')
    check('batch_sizes', batch_sizes, Kind('a list of positive integers', lambda value: list_of(COUNT).holds(value)
                                           and len(value) > 0, '[1, 64]'))
    check('threads', threads, COUNT | NOTHING)
    check('device', device, DEVICE)
    check('seconds', seconds, number(least=0.))
    from mmamd.pipeline.bench import run_bench
    return run_bench(Path(work_dir), list(batch_sizes), threads, str(device), float(seconds))
