"""A ratio is a median of pairs; a verdict says on which side of its target the pairs lie."""

import json
import subprocess
import sys

import pytest
import side_by_side
import torch
from benchmark_scripts import BENCHMARKS
from side_by_side import Row, compare, counted, peak_bytes, precision, report


def test_a_ratio_is_the_median_over_pairs_that_are_measured_in_turn(options, monkeypatch):
    calls, clock = [], [0.]
    monkeypatch.setattr(side_by_side.time, 'perf_counter', lambda: clock[0])
    seconds = {'a': iter([9., 3., 2., 5., 2., 2.]), 'b': iter([9., 1., 1., 1., 1., 2.])}

    def work(name):
        calls.append(name)
        clock[0] += next(seconds[name])

    row = compare('a over b', lambda: work('a'), lambda: work('b'), options)
    assert calls == ['a', 'b'] * 6  # one that is not counted, then five pairs, of ratios 3, 2, 5, 2, 1
    assert row == Row('a over b', ratio=2., low=2., high=3., a=2., b=1., pairs=5)


@pytest.mark.parametrize('low, ratio, high, verdict', [
    (0.8, 0.9, 0.95, 'met'), (0.9, 0.98, 1.1, 'met, within the spread'), (0.9, 1.05, 1.1, 'missed, within the spread'),
    (1.1, 1.2, 1.3, 'missed')])
def test_verdict(low, ratio, high, verdict):
    assert Row('a over b', ratio, low, high, 1., 1., pairs=5, target=1.).verdict == verdict
    assert verdict in str(Row('a over b', ratio, low, high, 1., 1., pairs=5, target=1.))


def test_a_count_needs_no_pairs():
    row = counted('a over b', 300, 200, 'bytes', target=1.5)
    assert (row.ratio, row.pairs, row.verdict) == (1.5, 1, 'met')


def test_peak_memory_is_the_most_that_is_held_at_once():
    def two_of_three():
        first = torch.zeros(1000, dtype=torch.float32)  # 4,000 bytes
        second = torch.zeros(2000, dtype=torch.float32)  # 8,000 beside them
        del first, second
        torch.zeros(1500, dtype=torch.float32)

    assert peak_bytes(two_of_three, 'cpu') == pytest.approx(12_000, abs=256)  # rounded up to whole lines of memory


def test_dtype_is_autocast(options):
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    options.dtype = 'bfloat16'
    with precision(options):
        assert layer(x).dtype == torch.bfloat16


def test_a_table_is_printed_and_written_with_its_context(options, tmp_path, capsys):
    options.json = tmp_path / 'deep' / 'rows.json'
    report('Title', [counted('a over b', 3, 2, 'bytes', target=1.)], options)
    assert '1.500' in capsys.readouterr().out
    found = json.loads(options.json.read_text())
    assert found['rows'][0]['verdict'] == 'missed'
    assert {'device', 'dtype', 'threads', 'torch', 'commit', 'date', 'batch_size'} <= found['context'].keys()


def test_a_gpu_that_is_not_there_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(sys, 'argv', ['x', '--device', 'cuda'])
    with pytest.raises(SystemExit):
        side_by_side.parse_args('doc', batch_size=1, seconds=1)
    assert 'there is no GPU here; leave --device out' in capsys.readouterr().err


@pytest.mark.slow
def test_all_benchmarks_run_and_make_one_table(tmp_path):
    done = subprocess.run([sys.executable, BENCHMARKS / 'run.py', '--out', tmp_path / 'all.json', '--network',
                           'ViT-micro', '--batch-size', '2', '--seconds', '0', '--only', 'candidate_cost',
                           'host_overhead', 'exported_student', 'joint_step', 'scoring', 'communication',
                           'whole_method'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tables = json.loads((tmp_path / 'all.json').read_text())
    assert len(tables) == 7 and all(table['rows'] for table in tables)
    assert 'targets met' in done.stdout
