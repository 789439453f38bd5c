"""The table of candidates: what each costs, and how it performs."""

from mmamd.selection.npsd import standard_error
from mmamd.structures import scale_key
from mmamd.visualization.run_files import Run

Row = dict[str, float]


def candidate_tables(run: Run) -> dict[str, list[Row]]:
    """Stage select -> one row a measured candidate, ascending by scale; empty before the first selection.

    A row has ``scale``, ``macs``, ``params`` and ``performance`` on the held-out images, and where they are known its
    ``stderr``, ``npsd``, and the performance on the ``test`` images. Performances are fractions.
    """
    rounds = run.summary['rounds'] if run.summary is not None else [None] * len(run.selections)
    tables = {}
    for (stage, selection), found in zip(run.selections.items(), rounds, strict=True):
        tests = {scale_key(c['scale']): c['test_value'] for c in found['candidates']} if found else {}
        tables[stage] = [_row(run, m, npsd, tests.get(scale_key(m.scale)))
                         for m, npsd in zip(selection.measurements, selection.scores['npsd'], strict=True)]
    return tables


def _row(run: Run, measurement, npsd: float | None, test: float | None) -> Row:
    cost = run.family.at(measurement.scale).cost
    error = standard_error(measurement.resampled) if measurement.resampled else None
    row = dict(scale=measurement.scale, macs=cost.macs, params=cost.params, performance=measurement.value,
               stderr=error, npsd=npsd, test=test)
    return {name: value for name, value in row.items() if value is not None}
