"""One network of a run, from the files of the work_dir; nothing is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmamd import compat
from mmamd.files.run_config import import_custom, read_run_config
from mmamd.nearest import did_you_mean
from mmamd.pipeline.outputs import refuse_damage
from mmamd.pipeline.state import RunState
from mmamd.structures import Network, scale_key
from mmamd.weights.networks import build_network, find_network, read_networks

NAMED = ('student', 'assistant', 'teacher')
TEACHER = ('teacher', 1.0)
MAKING = ('distil', 'refit')  # kinds of stages that leave candidates


def load_candidate(work_dir: str | Path, scale: float | str = 'student') -> tuple[Config, nn.Module, Network]:
    """The run's config, the network as it is best for a candidate, and the candidate.

    A candidate is as the last stage left it that trained or refitted it: the student its own stage, every other the
    last joint stage (a second one trains only what is smaller than the first assistant), or the last refit.

    Args:
        work_dir: Folder of a run.
        scale: Scale of a candidate, or of one of several students; ``'student'`` for what a run of one student
            delivers, ``'assistant'`` for the last network that it chose on the way, or ``'teacher'``, which is 1.0.

    Returns:
        Config; network on the CPU, uncut, in eval mode, with all units active; what it keeps as a candidate.

    Raises:
        FileNotFoundError: If the folder holds no run, or a stage that is needed has not finished; it names the stage.
        ValueError: If there is no such network; it offers the nearest. If a file of the stage that has made it is
            damaged; it names that stage.
    """
    folder = Path(work_dir)
    state = RunState(folder)
    if not state.exists:
        raise FileNotFoundError(f'{folder} holds no run (stages.json is missing); give the work_dir of a run of '
                                'tools/train.py')
    cfg = read_run_config(folder)
    import_custom(cfg, folder)
    network = _find(folder, state, scale)
    inside = Path(network.weights)  # whole where the file is there
    refuse_damage(state, [(inside.relative_to(folder) if inside.is_relative_to(folder) else inside).parts[0]])
    if network.kept is None and scale not in TEACHER:
        raise ValueError(f'the network {scale!r} of {folder} is no cut of the teacher, and its files are in '
                         f"{folder / 'student'}; expected scale 'assistant' or that of a larger candidate")
    with as_its_run(cfg):
        module = build_network(network)
    module.backbone.activate(None)
    if network.kept is None:
        network = replace(network, kept={group.name: group.count for group in module.backbone.unit_groups()})
    return cfg, module, network


@contextmanager
def as_its_run(cfg: Config) -> Iterator[None]:
    """Build in the scope of a run, and nothing but registered components, for its config was read as data."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        with compat.registered_types_only():
            yield


def _find(folder: Path, state: RunState, scale: float | str) -> Network:
    if scale == 'student':
        if len(state.content['delivered']) > 1:
            raise ValueError(f'the run {folder} delivers several students; give the scale of one, '
                             f'{_delivered_scales(folder, state)}')
        reference = state.content['delivered'][0]
        _require(state, reference.partition('@')[0], "the assistant and its kin are in the stages before it: scale "
                                                     "'assistant', or a number")
        return find_network(folder, reference)
    if scale == 'assistant':
        return find_assistant(folder, state)
    if scale in TEACHER:
        _require(state, 'nest')
        return find_network(folder, 'nest')  # its units in their order; the function is the teacher's
    networks = _networks(folder, state)
    if isinstance(scale, str) or scale_key(scale) not in networks:
        _require(state, 'nest')
        for stage in state.of_kind(*MAKING):
            _require(state, stage)
        known = sorted(network.scale for network in networks.values())
        nearest = (did_you_mean(scale, NAMED) if isinstance(scale, str) else
                   f'; the nearest is {min(known, key=lambda s: abs(s - scale))}')
        raise ValueError(f'the run {folder} has made no network of scale {scale!r}; expected one of {known}, '
                         f'{", ".join(map(repr, NAMED[:-1]))} or {NAMED[-1]!r}{nearest}')
    return networks[scale_key(scale)]


def _networks(folder: Path, state: RunState) -> dict[str, Network]:
    """Scale -> network, as the last finished stage left it that made one of that scale, or what is delivered."""
    found: dict[str, Network] = {}
    for stage in filter(state.is_finished, state.of_kind(*MAKING)):
        if (folder / stage / 'networks.json').is_file():  # not where the terms of a loss were trained alone
            found |= {network.key: network for network in read_networks(folder, stage).values()}
    for reference in state.content['delivered']:
        if state.is_finished(reference.partition('@')[0]):
            network = find_network(folder, reference)
            found[network.key] = network
    return found


def _delivered_scales(folder: Path, state: RunState) -> list[float]:
    """Scales of the students that are finished."""
    return [find_network(folder, reference).scale for reference in state.content['delivered']
            if state.is_finished(reference.partition('@')[0])]


def find_assistant(folder: Path, state: RunState) -> Network:
    """The last network that was chosen on the way to what is delivered, as it taught: a refit may have followed."""
    chosen = [stage for stage in state.of_kind('select') if stage not in state.content['delivered']]
    if not chosen:
        raise ValueError(f"{state.path.parent} is a run of {state.content['method']}, which chooses no assistant on "
                         "the way; export scale 'student'")
    _require(state, chosen[-1])
    found = find_network(folder, chosen[-1])
    for stage in filter(state.is_finished, state.of_kind('refit')):
        again = read_networks(folder, stage).get('assistant')
        if again is not None and again.key == found.key:  # another choice may have been written since
            found = again
    return found


def _require(state: RunState, stage: str, else_do: str = '') -> None:
    if not state.is_finished(stage):
        raise FileNotFoundError(f"the stage '{stage}' of {state.path.parent} has not finished; continue the run by "
                                f'giving its command again{f" ({else_do})" if else_do else ""}')
