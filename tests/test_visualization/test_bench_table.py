import pytest
from picture_toys import make_bench

from mmamd.files.json_file import write_json
from mmamd.visualization.bench_table import read_bench, timing_text
from mmamd.visualization.units import byte_text


@pytest.mark.parametrize('timing, expected', [
    ((4.2134, 4.0, 4.3871), '4.21 (4.00 to 4.39)'), ((0.04932, 0.049, 0.0498), '0.0493 (0.0490 to 0.0498)'),
    ((99.96, 98.5, 1234.5), '100 (98.5 to 1234)')])
def test_times_have_three_digits_and_no_exponent(timing, expected):
    assert timing_text(dict(zip(('median', 'low', 'high'), timing, strict=True))) == expected


def test_a_file_that_lacks_something_is_refused_by_its_name(tmp_path):
    write_json(tmp_path / 'bench.json', make_bench())
    assert read_bench(tmp_path / 'bench.json') == make_bench()
    for broken in ({'networks': [{'network': 'teacher'}]}, {'notes': None}):
        content = {key: value for key, value in {**make_bench(), **broken}.items() if value is not None}
        write_json(tmp_path / 'bench.json', content)
        with pytest.raises(ValueError, match='bench.json does not hold what is expected of it'):
            read_bench(tmp_path / 'bench.json')


@pytest.mark.parametrize('num, expected', [(999, '999 B'), (1_291_380, '1.29 MB'), (47_600, '47.6 kB'),
                                           (1_200_000_000, '1.2 GB')])
def test_bytes_are_written_as_people_write_them(num, expected):
    assert byte_text(num) == expected
