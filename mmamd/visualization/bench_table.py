"""What was timed of a run, as a table: one row a network and a way to run it."""

from pathlib import Path

from mmamd.files.json_file import read_json
from mmamd.visualization.units import byte_text

FILE = 'bench.json'  # in export/, so that it goes when the student is made anew
KEYS = ('networks', 'device', 'processor', 'threads', 'versions', 'notes', 'warnings')


def read_bench(path: Path) -> dict:
    """What :func:`mmamd.bench` has found; ValueError if the file is damaged."""
    def checked(raw: dict) -> dict:
        bench_rows(raw)
        return {key: raw[key] for key in KEYS}

    return read_json(path, checked)


def bench_rows(found: dict) -> list[list[str]]:
    """Header and rows of what :func:`mmamd.bench` has found."""
    networks = found['networks']
    compared = any(row['comparison'] for row in networks)
    header = ['Network', 'Runtime', 'Precision', 'File',
              *(f'Batch {timing["batch"]}, ms' for timing in networks[0]['timings'])]
    rows = [[row['network'], row['runtime'], row['precision'], byte_text(row['bytes']),
             *map(timing_text, row['timings']), *([_points(row['comparison'])] if compared else [])]
            for row in networks]
    return [header + ['Points to float32'] * compared, *rows]


def timing_text(timing: dict) -> str:
    """Median and quartiles in milliseconds, three digits: ``'4.21 (4.15 to 4.38)'``."""
    median, low, high = (_digits(timing[key]) for key in ('median', 'low', 'high'))
    return f'{median} ({low} to {high})'


def _points(comparison: dict | None) -> str:
    if comparison is None:
        return ''
    return (f'{100 * (comparison["value"] - comparison["reference"]):+.2f} \N{PLUS-MINUS SIGN} '
            f'{100 * comparison["stderr"]:.2f}')


def _digits(value: float) -> str:
    return f'{value:.0f}' if value >= 99.95 else f'{value:#.3g}'
