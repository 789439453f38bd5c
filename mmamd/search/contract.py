"""What a search is to a run: the stage before the first training, whose terms all trainings after it have."""

from dataclasses import fields
from typing import Any

from mmamd.pipeline.config.keys import check_options
from mmamd.pipeline.context import Context
from mmamd.pipeline.stages import Distil, Stage


class Search:
    """A search for terms of the loss. A registered dataclass whose fields are the options of the section ``search``.

    Attributes:
        term: Name of the term that is found; a term of the config of that name is not trained with.
    """

    term: str

    def expected(self) -> dict:
        """The terms that it will find, as far as they are known beforehand, by which a run is checked and planned."""
        raise NotImplementedError

    def stage(self, training: Distil, context: Context) -> Stage:
        """The stage that searches, and leaves ``losses.json``.

        Args:
            training: The training of the student by the teacher that the config describes, by the section ``student``.
            context: The run.
        """
        raise NotImplementedError


def fields_of(training: Distil, **changed: Any) -> dict:
    """Fields of a training for a stage that trains in its place: by neither a budget, nor averaged, nor cached."""
    found = {field.name: getattr(training, field.name) for field in fields(training)}
    return {**found, 'budget': None, 'average': None, 'teacher_cache': None, 'recalibration': None, **changed}


def section(where: str, cls: type, given: Any) -> Any:
    """An object of a class of options, from a section of a config or as it is; what it refuses names the section."""
    if isinstance(given, cls):
        return given
    check_options(where, cls, given, hint='')
    try:
        return cls(**given)
    except ValueError as error:
        raise ValueError(f'{where}: {error}') from error
