"""The contract of a stage, and what it is known by."""

import shutil
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mmamd.pipeline.plain import digest, file_digest
from mmamd.pipeline.tensorboard import FOLDER
from mmamd.structures import Network
from mmamd.weights.networks import find_network, read_networks

if TYPE_CHECKING:
    from mmamd.pipeline.context import Context

STAGES: dict[str, type['Stage']] = {}  # by kind


@dataclass(frozen=True)
class Stage:
    """One step of a run, as plain data.

    Its fields are everything that its outcome depends on, so the fingerprint cannot drift from what it does. Logging,
    checkpoint intervals and displays are the run's.

    Attributes:
        kind: What it is, by which others find it; a run may have several of a kind.
        decides: Whether stages after it depend on what it finds, so that they are laid anew when it is done.
        name: Its name in the run, and its folder below the work_dir.
    """

    kind: ClassVar[str]
    decides: ClassVar[bool] = False
    name: str

    def __init_subclass__(cls, is_kind: bool = True, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        if is_kind:  # and not what several kinds have in common
            STAGES[cls.kind] = cls

    def networks(self) -> list[str]:
        """References to the networks of earlier stages that it reads."""
        return []

    def files(self) -> list[str]:
        """Other files that it reads, relative to the work_dir."""
        return []

    def outputs(self, work_dir: Path) -> list[str]:
        """Files that it has left for others, relative to the work_dir: data and weights in its folder.

        Checkpoints of epochs serve the stage itself, and pictures and logs are for people.
        """
        return [str(path.relative_to(work_dir)) for path in sorted((work_dir / self.name).glob('*'))
                if path.suffix in ('.json', '.pth') and not path.name.startswith('epoch_')]

    def check(self, context: 'Context') -> None:
        """Refuse, before anything of the run is written, what can be known to go wrong.

        Raises:
            ValueError, FileNotFoundError: With the offending value, what was expected, and what to do.
        """

    def macs(self, context: 'Context') -> float:
        """Arithmetic in MACs, a backward pass being twice a forward pass: planned before it runs, spent afterwards.

        A training stage counts what it spends as it goes.
        """
        return 0.

    def trainings(self, work_dir: Path) -> int:
        """How many trainings it has carried out, once it is finished."""
        return 0

    def clear(self, work_dir: Path) -> None:
        """Remove what it has left in a work_dir, so that it is done anew."""
        clear_folders(work_dir, self.name)

    def carry_out(self, context: 'Context') -> None:
        """Do it: from files to files in the stage's folder."""
        raise NotImplementedError


def clear_folders(work_dir: Path, name: str) -> None:
    """Remove what a stage of this name has left, and what TensorBoard shows of it."""
    for folder in (work_dir / name, work_dir / FOLDER / name):
        if folder.exists():
            shutil.rmtree(folder)


def fingerprint(stage: Stage, work_dir: Path) -> dict[str, str]:
    """Name of an input -> digest of its value or content. Raises what :func:`field_digests` raises."""
    found = field_digests(stage)
    found |= {f'network {reference}': _network_digest(work_dir, reference) for reference in stage.networks()}
    return found | {f'file {name}': file_digest(work_dir / name) for name in stage.files()}


def field_digests(stage: Stage) -> dict[str, str]:
    """Name of a field, or of a key of one -> digest of its value.

    A field at its default is left out, so that a new field does not refuse every run that was made before it.

    Raises:
        ValueError: If a field holds what is no plain value; it names the place.
    """
    found = {}
    for field in fields(stage):
        value = getattr(stage, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if value == default:
            continue
        if isinstance(value, dict):
            found |= {f'{field.name}.{key}': digest(item, f'{stage.name}.{field.name}.{key}')
                      for key, item in value.items()}
        else:
            found[field.name] = digest(value, f'{stage.name}.{field.name}')
    return found


def _network_digest(work_dir: Path, reference: str) -> str:
    """Of what a reference names: a network, or all that a stage has made."""
    stage, _, key = reference.partition('@')
    networks = [find_network(work_dir, reference)] if key else list(read_networks(work_dir, stage).values())
    return digest([network_identity(network) for network in networks])


def network_identity(network: Network) -> list:
    """What a network is known by: its files by their content, wherever they lie."""
    files = [path if path is None or not Path(path).is_file() else file_digest(path)
             for path in (network.weights, network.statistics)]
    return [network.architecture, network.scale, network.kept, *files]
