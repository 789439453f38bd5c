"""Which stages of a run are finished, and from what they were made."""

import hashlib
import json
import shutil
from pathlib import Path

from mmamd.structures import write_json


class RunState:
    """The file ``stages.json`` of a work_dir. Only the first rank writes.

    Each stage has a fingerprint: name of an input -> digest of its value or file. A finished stage may be skipped as
    long as its fingerprint is what it was.
    """

    def __init__(self, work_dir: Path) -> None:
        self.path = work_dir / 'stages.json'
        self.content: dict = {'seed': None, 'stages': {}}
        if self.path.exists():
            self.content = json.loads(self.path.read_text())

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

    def start(self, stage: str, fingerprint: dict[str, str], planned_macs: float) -> None:
        entry = self.content['stages'].setdefault(stage, {'finished': False, 'seconds': 0.})
        entry['fingerprint'] = fingerprint
        entry['planned_macs'] = planned_macs
        self.save()

    def spend(self, stage: str, seconds: float) -> None:
        """Add to the wall time of a stage, which survives interruptions."""
        self.content['stages'][stage]['seconds'] += seconds
        self.save()

    def finish(self, stage: str) -> None:
        self.content['stages'][stage]['finished'] = True
        self.save()

    def forget(self, stages: list[str]) -> None:
        """Forget stages and delete their folders, so that they are done anew."""
        for stage in stages:
            if self.content['stages'].pop(stage, None) is not None:
                folder = self.path.parent / stage
                if folder.exists():
                    shutil.rmtree(folder)
        self.save()

    def seconds(self, stage: str) -> float:
        return self.content['stages'].get(stage, {}).get('seconds', 0.)

    def save(self) -> None:
        write_json(self.path, self.content)


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, shortened."""
    sha = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()[:16]
