"""One candidate of a run, with its weights, from the files of the work_dir; nothing is trained."""

from pathlib import Path

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmamd.backbones.recalibration import batch_norms, load_statistics, restore_statistics
from mmamd.pipeline.settings import Compression
from mmamd.pipeline.stages import numbered
from mmamd.pipeline.state import RunState
from mmamd.registry import MODELS
from mmamd.structures import Candidate, CandidateFamily, Selection, scale_key

NAMED_SCALES = ('student', 'assistant')


def load_candidate(work_dir: str | Path, scale: float | str = 'student') -> tuple[Config, nn.Module, Candidate]:
    """The run's config, the shared network as it is best for a candidate, and the candidate.

    The student is what its own stage trained; every other candidate is as the last joint stage left it that trained
    it (a second one trains only what is smaller than the first assistant).

    Args:
        work_dir: Folder of a run.
        scale: Scale of a candidate, ``'student'`` or ``'assistant'`` (the last of several).

    Returns:
        Config; network on the CPU, uncut, in eval mode; candidate.

    Raises:
        FileNotFoundError: If the folder holds no run, or a stage that is needed has not finished; it names the stage.
        ValueError: If there is no such candidate, or the run has not trained it; it offers the nearest.
    """
    folder = Path(work_dir)
    state = RunState(folder)
    if not state.exists or not (folder / 'run_config.py').is_file():
        raise FileNotFoundError(f'{folder} holds no run ({"run_config.py" if state.exists else "stages.json"} is '
                                'missing); give the work_dir of a run of tools/train.py')
    cfg = Config.fromfile(folder / 'run_config.py')
    _require(state, 'nest')
    family = CandidateFamily.load(folder / 'nest' / 'family.json')
    num_assistants = Compression.from_cfg(cfg).num_assistants
    candidate = _candidate(family, scale, state, num_assistants)
    if cfg.model.get('student_architecture') is not None and candidate == family.student:
        raise ValueError(f'the student of {folder} is of another architecture, and its files are in '
                         f"{folder / 'student'}; expected scale 'assistant' or that of a larger candidate")
    weights = folder / _weights(family, candidate, state, num_assistants)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        network = MODELS.build(cfg.model.architecture)
    # Read as the files of a run are written: plain tensors of exactly this network.
    network.load_state_dict(torch.load(weights, map_location='cpu', weights_only=True)['state_dict'])
    if batch_norms(network) and weights.name == 'shared.pth':
        _restore_statistics(network, candidate, state, weights.parent.name.replace('joint', 'select'))
    return cfg, network.eval(), candidate


def _restore_statistics(network: nn.Module, candidate: Candidate, state: RunState, stage: str) -> None:
    """Weights are shared by all candidates, batch norm statistics are not: the select stage found them."""
    _require(state, stage)
    restore_statistics(network, load_statistics(state.path.parent / stage / 'statistics.pth')[candidate.key])


def _candidate(family: CandidateFamily, scale: float | str, state: RunState, num_assistants: int) -> Candidate:
    if scale == 'student':
        return family.student
    if scale == 'assistant':
        if num_assistants == 0:
            raise ValueError(f'{state.path.parent} is a run without an assistant (compression.num_assistants=0); '
                             "export scale 'student'")
        return family.at(_assistant(state, num_assistants))
    scales = [candidate.scale for candidate in family.candidates]
    if isinstance(scale, str) or scale_key(scale) not in map(scale_key, scales):
        nearest = '' if isinstance(scale, str) else f'; the nearest is {min(scales, key=lambda s: abs(s - scale))}'
        raise ValueError(f'there is no candidate of scale {scale!r}; expected one of {scales}, '
                         f'{" or ".join(map(repr, NAMED_SCALES))}{nearest}')
    return family.at(scale)


def _weights(family: CandidateFamily, candidate: Candidate, state: RunState, num_assistants: int) -> str:
    """File, below the work_dir, of the weights that the run has for a candidate."""
    if candidate == family.student:
        _require(state, 'student', "the assistant and its kin are in the joint stage before it: scale 'assistant', "
                                   'or a number')
        return 'student/trained.pth'
    if num_assistants == 0:
        raise ValueError(f'candidate {candidate.key} has not been trained: with compression.num_assistants=0 there is '
                         f'no joint stage; export the student, {family.student.scale}')
    number = 1
    while number < num_assistants and candidate.scale < _assistant(state, number):
        number += 1
    _require(state, numbered('joint', number))
    return f'{numbered("joint", number)}/shared.pth'


def _assistant(state: RunState, number: int) -> float:
    stage = numbered('select', number)
    _require(state, stage)
    return Selection.load(state.path.parent / stage / 'selection.json').assistant


def _require(state: RunState, stage: str, else_do: str = '') -> None:
    if not state.is_finished(stage):
        raise FileNotFoundError(f"the stage '{stage}' of {state.path.parent} has not finished; continue the run by "
                                f'giving its command again{f" ({else_do})" if else_do else ""}')
