"""The tables are large, and no row is there twice."""

from misspellings import CASES as MISSPELLINGS
from test_entry_points import CALLS, LINES
from test_host_parts import CASES as PARTS
from test_random_values import EXAMPLES, TAKES
from wrong_types import CASES as TYPES


def test_there_are_at_least_500_malformed_inputs_and_60_misspellings(record_property):
    record_property('inputs', 0)  # this one tries none
    assert len(MISSPELLINGS) >= 60
    tables = [MISSPELLINGS, TYPES, PARTS, CALLS, LINES]
    assert [len(table) - len(set(map(repr, table))) for table in tables] == [0] * len(tables)
    count = sum(map(len, tables)) + EXAMPLES * len(TAKES)
    print(f'{count} malformed inputs')
    assert count >= 500
