"""Which stages of a run are finished, and from what they were made."""

from pathlib import Path

from mmamd.files.json_file import read_json, write_json
from mmamd.structures import RUN_FORMAT, advice_of, check_run_format


class RunState:
    """The file ``stages.json`` of a work_dir. Only the first rank writes.

    It knows the run's seed, its method, references to the networks that it delivers, and its stages. Each has a kind,
    and a fingerprint: name of an input -> digest of its value or file. A finished stage may be skipped as long as its
    fingerprint is what it was, and so are its outputs: name of a file -> size, time and digest.

    Raises:
        ValueError: If the work_dir was made by another version that leaves other files.
    """

    def __init__(self, work_dir: Path) -> None:
        self.path = work_dir / 'stages.json'
        self.content: dict = {'format': RUN_FORMAT, 'seed': None, 'method': None, 'delivered': [], 'stages': {}}
        if self.path.exists():
            self.content = read_json(self.path)
            check_run_format(self.content, work_dir)

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def is_finished(self, stage: str) -> bool:
        return self.content['stages'].get(stage, {}).get('finished', False)

    def is_started(self, stage: str) -> bool:
        return stage in self.content['stages']

    def changes(self, stage: str, fingerprint: dict[str, str]) -> list[str]:
        """Names of the inputs that differ from those the stage was started with."""
        before = self.content['stages'][stage]['fingerprint']
        return sorted(name for name in before.keys() | fingerprint.keys() if before.get(name) != fingerprint.get(name))

    def start(self, stage: str, kind: str, fingerprint: dict[str, str], planned_macs: float) -> None:
        entry = self.content['stages'].setdefault(stage, {'kind': kind, 'finished': False, 'seconds': 0., 'macs': 0.})
        entry['fingerprint'] = fingerprint
        entry['planned_macs'] = planned_macs
        self.save()

    def spend(self, stage: str, seconds: float, macs: float = 0.) -> None:
        """Add to the wall time and the arithmetic of a stage, which survive interruptions."""
        entry = self.content['stages'][stage]
        entry['seconds'] += seconds
        entry['macs'] += macs
        self.save()

    def finish(self, stage: str, outputs: dict[str, dict]) -> None:
        """A stage is done and has left these files, as :func:`mmamd.pipeline.outputs.note` knows them."""
        self.content['stages'][stage].update(finished=True, outputs=outputs)
        self.save()

    def of_kind(self, *kinds: str) -> list[str]:
        """Names of the stages of some kinds, in the order of the run."""
        return [name for name, entry in self.content['stages'].items() if entry['kind'] in kinds]

    def forget(self, stages: list[str]) -> None:
        """Forget stages, so that they are done anew."""
        for stage in stages:
            self.content['stages'].pop(stage, None)
        self.save()

    def seconds(self, stage: str) -> float:
        return self.content['stages'].get(stage, {}).get('seconds', 0.)

    def spent(self, stage: str) -> float | None:
        """MACs that a stage has taken; None unless it is finished."""
        return self.content['stages'][stage]['macs'] if self.is_finished(stage) else None

    def planned(self, stage: str) -> float | None:
        """MACs that a stage was to take when it was begun; None unless it is finished."""
        return self.content['stages'][stage].get('planned_macs') if self.is_finished(stage) else None

    @property
    def advice(self) -> list[str]:
        """What would make the run better, as it was noticed; one sentence each."""
        return advice_of(self.content)

    def save(self) -> None:
        write_json(self.path, self.content)
