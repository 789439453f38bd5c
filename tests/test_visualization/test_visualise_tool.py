import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools' / 'visualise.py'


@pytest.fixture
def visualise(monkeypatch):
    """Function that runs the tool in this process."""
    spec = importlib.util.spec_from_file_location('visualise_script', TOOL)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['visualise.py', *map(str, arguments)])
        script.main()
    return run


@pytest.mark.slow
def test_pictures_and_report_are_drawn_into_the_run(work_dir):
    done = subprocess.run([sys.executable, TOOL, work_dir], text=True, capture_output=True,
                          env={**os.environ, 'PYTHONPATH': str(TOOL.parents[1]), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (work_dir / 'pictures').iterdir()} == {
        f'{name}.png' for name in ('selection', 'examples', 'importance', 'kept', 'loss_joint', 'loss_student', 'cost')}
    assert f'report: {work_dir / "report.html"}' in done.stdout
    assert (work_dir / 'report.html').is_file()


@pytest.mark.parametrize('form, begin', [('svg', b'<?xml'), ('pdf', b'%PDF')])
def test_some_pictures_are_drawn_elsewhere_and_nothing_else_is_touched(work_dir, tmp_path, unfinish, form, begin,
                                                                       visualise, capsys):
    unfinish(work_dir, 'select', 'student', 'export', interrupted='joint')
    before = sorted(work_dir.rglob('*'))
    out = tmp_path / "some one's out"
    visualise(work_dir, '--out', out, '--only', 'loss', 'selection', '--format', form)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob('*.*')) == [f'pictures/loss_joint.{form}']
    assert (out / 'pictures' / f'loss_joint.{form}').read_bytes().startswith(begin)
    assert 'not drawn: selection: no network has been chosen yet' in capsys.readouterr().out
    assert sorted(work_dir.rglob('*')) == before


def test_a_folder_without_a_run_is_refused_in_a_sentence(tmp_path, visualise):
    with pytest.raises(SystemExit, match='visualise.py: .* holds no stages.json'):
        visualise(tmp_path)


def test_an_unknown_name_is_refused_with_those_there_are(work_dir, visualise, capsys):
    with pytest.raises(SystemExit):
        visualise(work_dir, '--only', 'losses')
    assert "invalid choice: 'losses'" in capsys.readouterr().err
