"""Scripts of the shell: what they start, what they refuse, and that no name is split or expanded on the way."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import TOOLS, attempt

HOSTILE = 'it\'s a "name" of $HOME; *'
# Stands for srun and for Python: writes its arguments to $RECORD, each ended by a zero. As Python it does run
# the check of the port, which is the script on its standard input, and says that there is a pip.
RECORDER = f"""#!/usr/bin/env bash
if [[ ${{1:-}} == - ]]; then exec '{sys.executable}' "$@"; fi
printf '%s\\0' "$@" >> "$RECORD"; printf '\\1' >> "$RECORD"
printf '%s' "${{MASTER_PORT:-}}" > "$RECORD.port"
"""


@pytest.fixture
def recorder(tmp_path):
    """A program that records its arguments: as srun on the PATH, as PYTHON, and as .venv/bin/python of a repository."""
    path = tmp_path / 'bin' / 'srun'
    path.parent.mkdir()
    path.write_text(RECORDER)
    path.chmod(0o755)
    return path


@pytest.fixture
def repository(tmp_path, recorder):
    """A copy of the tools in a folder with a hostile name."""
    root = tmp_path / HOSTILE
    shutil.copytree(TOOLS, root / 'tools', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(TOOLS.parent / 'requirements', root / 'requirements')
    shutil.copy(TOOLS.parent / 'setup.py', root)
    return root


@pytest.fixture
def recorded(tmp_path, recorder, monkeypatch):
    """Function that runs a script; returns (process, the recorded calls, each a list of arguments)."""
    for name in ('VENV', 'HOST', 'TORCH', 'WHEELS'):  # what these tests may be run with themselves
        monkeypatch.delenv(name, raising=False)

    def record(script, *arguments, **environment):
        file = tmp_path / 'record'
        file.unlink(missing_ok=True)
        done = attempt('bash', script, *arguments, RECORD=str(file),
                       PATH=f'{recorder.parent}:{os.environ["PATH"]}', **{'PYTHON': str(recorder), **environment})
        text = file.read_text() if file.exists() else ''
        return done, [call.split('\0')[:-1] for call in text.split('\1')[:-1]]

    return record


# --- one machine or several: dist_*.sh ---

def test_names_reach_the_training_as_they_are(repository, recorded):
    done, calls = recorded(repository / 'tools' / 'dist_train.sh', f'{HOSTILE}.py', '2', '--work-dir', HOSTILE, '--amp',
                           PORT='29771')
    assert done.returncode == 0, done.stderr
    assert calls[0][0] == '-c' and 'from torch.distributed.run import main' in calls[0][1]
    assert calls == [[*calls[0][:2], '--nnodes=1', '--node_rank=0', '--master_addr=127.0.0.1',
                      '--master_port=29771', '--nproc_per_node=2', str(repository / 'tools' / 'train.py'),
                      f'{HOSTILE}.py', '--launcher', 'pytorch', '--work-dir', HOSTILE, '--amp']]


def test_names_reach_the_evaluation_as_they_are(repository, recorded):
    _, calls = recorded(repository / 'tools' / 'dist_test.sh', f'{HOSTILE}.py', f'{HOSTILE}.pth', '2', '--out', HOSTILE)
    assert calls[0][-7:] == [str(repository / 'tools' / 'test.py'), f'{HOSTILE}.py', f'{HOSTILE}.pth',
                             '--launcher', 'pytorch', '--out', HOSTILE]


@pytest.mark.parametrize('script, arguments', [
    ('dist_train.sh', ['a.py', '2']), ('dist_test.sh', ['a.py', 'a.pth', '2'])])
@pytest.mark.parametrize('address, family', [('127.0.0.1', socket.AF_INET), ('::', socket.AF_INET6)])
def test_a_port_that_is_in_use_is_named_before_anything_starts(script, arguments, address, family, recorded):
    if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
        pytest.skip('this machine has no IPv6')
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]
        done, calls = recorded(TOOLS / script, *arguments, PORT=str(port))
        assert (done.returncode, calls) == (2, [])
        assert done.stderr == (f'{script}: port {port}: Address already in use; end what uses it, or choose another, '
                               f'e.g. PORT={port % 65535 + 1}\n')
        # The port is the first node's; on the others it may be anybody's.
        assert recorded(TOOLS / script, *arguments, PORT=str(port), NNODES='2', NODE_RANK='1')[0].returncode == 0


@pytest.mark.parametrize('environment, message', [
    (dict(PORT='0'), "PORT must be a number from 1 to 65535, got '0'"),
    (dict(PORT='65536'), "got '65536'"), (dict(PORT='1e3'), "got '1e3'")])
def test_a_port_that_is_none_is_refused(environment, message, recorded):
    done, calls = recorded(TOOLS / 'dist_train.sh', 'a.py', '2', **environment)
    assert (done.returncode, calls) == (2, []) and message in done.stderr


@pytest.mark.parametrize('number', ['--work-dir', '0', '2x', ''])
def test_a_number_of_processes_that_is_none_is_refused(number, recorded):
    done, calls = recorded(TOOLS / 'dist_train.sh', 'a.py', number)
    assert (done.returncode, calls) == (2, [])
    assert 'GPUS must be a number of at least 1' in done.stderr if number else 'GPUS is missing' in done.stderr


@pytest.mark.parametrize('ending, status', [('sys.exit(3)', 3), ('os.abort()', 1)])
def test_several_processes_end_with_the_status_of_the_first_that_failed(ending, status, tmp_path):
    script = tmp_path / f'{HOSTILE}.py'
    script.write_text(f'import os, sys\nif os.environ["RANK"] == "1":\n    {ending}\n')
    done = attempt('bash', '-c', 'source "$1"; run_distributed 2 "$2"', 'bash', TOOLS / 'launch.sh', script)
    assert done.returncode == status, done.stderr
    assert 'rank      : 1' in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.parametrize('environment, message', [
    (dict(NNODES='0'), "NNODES must be a number of at least 1, got '0'"),
    (dict(NNODES='two'), "NNODES must be a number of at least 1, got 'two'"),
    (dict(NNODES='-1'), "got '-1'"), (dict(NNODES='1.5'), "got '1.5'"),
    (dict(NODE_RANK='1'), "NODE_RANK must be a number from 0 to NNODES - 1 = 0, got '1'"),
    (dict(NNODES='2', NODE_RANK='2'), "from 0 to NNODES - 1 = 1, got '2'"),
    (dict(NNODES='2', NODE_RANK='-1'), "got '-1'"), (dict(NNODES='2', NODE_RANK='first'), "got 'first'")])
@pytest.mark.parametrize('script, arguments', [
    ('dist_train.sh', ['a.py', '2']), ('dist_test.sh', ['a.py', 'a.pth', '2'])])
def test_a_number_of_nodes_or_a_rank_that_is_none_is_refused(script, arguments, environment, message, recorded):
    done, calls = recorded(TOOLS / script, *arguments, **environment)
    assert (done.returncode, calls) == (2, []) and message in done.stderr


def test_more_processes_than_gpus_are_refused(recorded, recorder):
    (recorder.parent / 'nvidia-smi').write_text("#!/usr/bin/env bash\necho 'GPU 0: A'; echo 'GPU 1: B'\n")
    (recorder.parent / 'nvidia-smi').chmod(0o755)
    done, calls = recorded(TOOLS / 'dist_train.sh', 'a.py', '3', PORT='29772', CUDA_VISIBLE_DEVICES='')
    assert (done.returncode, calls) == (2, [])
    assert "GPUS must be at most the 2 GPUs that this machine has (CUDA_VISIBLE_DEVICES), got '3'" in done.stderr
    done, _ = recorded(TOOLS / 'dist_train.sh', 'a.py', '2', PORT='29772', CUDA_VISIBLE_DEVICES='1')
    assert "at most the 1 GPUs" in done.stderr
    assert recorded(TOOLS / 'dist_train.sh', 'a.py', '2', PORT='29772', CUDA_VISIBLE_DEVICES='')[0].returncode == 0


def test_a_run_whose_process_dies_is_started_again_as_often_as_is_said(recorded):
    done, calls = recorded(TOOLS / 'dist_train.sh', 'a.py', '2', MAX_RESTARTS='3', PORT='29772')
    assert done.returncode == 0, done.stderr
    assert calls[0][2:7] == ['--nnodes=1', '--rdzv_backend=c10d', '--rdzv_endpoint=127.0.0.1:29772', '--max_restarts=3',
                             '--nproc_per_node=2']


@pytest.mark.parametrize('environment, message', [
    (dict(MAX_RESTARTS='often'), "MAX_RESTARTS must be a number of at least 1, got 'often'"),
    (dict(MAX_RESTARTS='0'), "MAX_RESTARTS must be a number of at least 1, got '0'"),
    (dict(MAX_RESTARTS='1', NNODES='2'), 'restarts the processes of one machine, got NNODES=2; leave it')])
def test_restarts_that_cannot_be_are_refused(environment, message, recorded):
    done, calls = recorded(TOOLS / 'dist_train.sh', 'a.py', '2', **environment)
    assert (done.returncode, calls) == (2, []) and message in done.stderr


# --- SLURM ---

def test_slurm_training_asks_for_what_the_environment_says(recorded, recorder):
    done, calls = recorded(TOOLS / 'slurm_train.sh', HOSTILE, HOSTILE, f'{HOSTILE}.py', HOSTILE, '--resume',
                           GPUS='16', GPUS_PER_NODE='4', CPUS_PER_TASK='7', SRUN_ARGS='--qos=high  --mem=*')
    assert done.returncode == 0, done.stderr
    assert calls == [[f'--partition={HOSTILE}', f'--job-name={HOSTILE}', '--gres=gpu:4', '--ntasks=16',
                      '--ntasks-per-node=4', '--cpus-per-task=7', '--kill-on-bad-exit=1', '--qos=high', '--mem=*',
                      str(recorder), '-u', str(TOOLS / 'train.py'), f'{HOSTILE}.py', '--work-dir', HOSTILE,
                      '--launcher', 'slurm', '--resume']]


def test_slurm_evaluation_asks_for_eight_gpus_of_one_node_unless_told(recorded, tmp_path):
    _, calls = recorded(TOOLS / 'slurm_test.sh', 'part', 'job', f'{HOSTILE}.py', f'{HOSTILE}.pth', PORT='')
    assert calls[0][:7] == ['--partition=part', '--job-name=job', '--gres=gpu:8', '--ntasks=8', '--ntasks-per-node=8',
                            '--cpus-per-task=5', '--kill-on-bad-exit=1']
    assert calls[0][8:] == ['-u', str(TOOLS / 'test.py'), f'{HOSTILE}.py', f'{HOSTILE}.pth', '--launcher', 'slurm']
    assert (tmp_path / 'record.port').read_text() == ''


def test_fewer_gpus_than_a_node_has_are_asked_for_on_one_node(recorded):
    _, calls = recorded(TOOLS / 'slurm_train.sh', 'part', 'job', 'a.py', 'out', GPUS='2')
    assert calls[0][2:5] == ['--gres=gpu:2', '--ntasks=2', '--ntasks-per-node=2']


def test_the_port_reaches_the_tasks_under_the_hosts_name_for_it(recorded, tmp_path):
    recorded(TOOLS / 'slurm_train.sh', 'part', 'job', 'a.py', 'out', PORT='29556')
    assert (tmp_path / 'record.port').read_text() == '29556'


@pytest.mark.parametrize('arguments, missing', [
    ([], 'PARTITION'), (['', 'job', 'a.py', 'out'], 'PARTITION'), (['part'], 'JOB_NAME'), (['part', 'job'], 'CONFIG'),
    (['part', 'job', 'a.py'], 'WORK_DIR')])
def test_slurm_without_an_argument_says_which(arguments, missing, recorded):
    done, calls = recorded(TOOLS / 'slurm_train.sh', *arguments)
    assert (done.returncode, calls) == (2, [])
    assert done.stderr.splitlines()[-1] == f'slurm_train.sh: {missing} is missing or empty'


@pytest.mark.parametrize('environment, message', [
    (dict(GPUS='many'), "GPUS must be a number of at least 1, got 'many'"),
    (dict(GPUS_PER_NODE='0'), "GPUS_PER_NODE must be a number of at least 1, got '0'"),
    (dict(GPUS='12'), "GPUS must be a multiple of GPUS_PER_NODE=8, got '12'"),
    (dict(CPUS_PER_TASK='-1'), "CPUS_PER_TASK must be a number of at least 1, got '-1'")])
def test_slurm_with_a_number_that_is_none_is_refused(environment, message, recorded):
    done, calls = recorded(TOOLS / 'slurm_test.sh', 'part', 'job', 'a.py', 'a.pth', **environment)
    assert (done.returncode, calls) == (2, []) and message in done.stderr


def test_where_there_is_no_slurm_the_other_launcher_is_named(recorder, tmp_path):
    recorder.unlink()
    done = attempt('bash', TOOLS / 'slurm_train.sh', 'part', 'job', 'a.py', 'out')
    assert done.returncode == 2
    assert 'there is no srun here' in done.stderr and 'dist_*.sh' in done.stderr


# --- all of them ---

@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'])
def test_a_launcher_without_its_arguments_says_how_to_use_it(script):
    done = subprocess.run(['bash', TOOLS / script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f'Usage: tools/{script} ')


@pytest.mark.parametrize('script, command', [
    ('quickstart.sh', ['tools/train.py', 'configs/amd/vit-tiny_digits.py', '--work-dir', 'work_dirs/quickstart']),
    ('run_tests.sh', ['-m', 'pytest', '-n', '2'])])
def test_a_repository_with_a_hostile_name_installs_and_passes_names_on(script, command, repository, recorder, recorded):
    python = repository / '.venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    shutil.copy(recorder, python)
    done, calls = recorded(repository / 'tools' / script, '--cfg-options', f'a={HOSTILE}')
    assert done.returncode == 0, done.stderr
    assert calls[-1] == [*command, '--cfg-options', f'a={HOSTILE}']
    assert any(call[:3] == ['-m', 'pip', 'install'] for call in calls)
    # The second time everything is there.
    _, calls = recorded(repository / 'tools' / script)
    assert not any(call[:3] == ['-m', 'pip', 'install'] for call in calls)


def test_no_extra_replaces_what_a_stack_pins(repository, recorder, recorded):
    python = repository / '.venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    shutil.copy(recorder, python)
    _, calls = recorded(repository / 'tools' / 'run_tests.sh', TORCH='torch==2.6.0 numpy==1.26.4')
    installed = [call for call in calls if call[:3] == ['-m', 'pip', 'install'] and 'requirements/runtime.txt' in call]
    assert len(installed) == 3 and all('numpy==1.26.4' in call for call in installed)


def test_the_slow_tier_is_asked_for_by_one_word(repository, recorder, recorded):
    python = repository / '.venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    shutil.copy(recorder, python)
    _, calls = recorded(repository / 'tools' / 'run_tests.sh', '--slow', '-k', HOSTILE)
    assert calls[-1] == ['-m', 'pytest', '-n', '2', '-m', 'slow and not seg', '-k', HOSTILE]


def test_segmentation_has_an_environment_for_which_mmcv_is_built_once(repository, recorder, recorded, tmp_path):
    python = repository / '.venv-seg' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    shutil.copy(recorder, python)
    script, wheels = repository / 'tools' / 'run_tests.sh', tmp_path / 'wheels'
    done, calls = recorded(script, '--seg', '-k', HOSTILE, WHEELS=str(wheels))
    assert done.returncode == 0, done.stderr
    built = [call for call in calls if call[:3] == ['-m', 'pip', 'wheel']]
    assert [call[-1] for call in built] == ['mmcv==2.1.0'] and '--no-build-isolation' in built[0]
    assert calls[-1] == ['-m', 'pytest', '-n', '2', '-m', 'seg and not slow', '-k', HOSTILE]
    kept = Path(built[0][built[0].index('--wheel-dir') + 1])
    assert kept.is_relative_to(wheels)
    kept.mkdir(parents=True)
    (kept / 'mmcv-2.1.0-cp311.whl').touch()
    _, calls = recorded(script, '--seg', '--slow', WHEELS=str(wheels))
    assert not [call for call in calls if call[:3] == ['-m', 'pip', 'wheel']]
    assert calls[-1] == ['-m', 'pytest', '-n', '2', '-m', 'seg and slow']
    done, calls = recorded(repository / 'tools' / 'quickstart.sh', '--seg', '--amp', WHEELS=str(wheels))
    assert calls[-1] == ['tools/train.py', 'configs/segmentation/psp_r18_scenes.py', '--work-dir',
                         'work_dirs/quickstart_seg', '--amp']


@pytest.mark.parametrize('fails', ['', 'seg'])
def test_both_tiers_run_in_environments_of_their_own_and_one_that_fails_is_a_failure(fails, repository, recorder,
                                                                                     recorded, tmp_path):
    for name in ('.venv', '.venv-seg'):
        python = repository / name / 'bin' / 'python'
        python.parent.mkdir(parents=True)
        shutil.copy(recorder, python)
    failing = repository / (f'.venv-{fails}' if fails else '.venv') / 'bin' / 'python'
    failing.write_text(RECORDER + 'if [[ ${2:-} == pytest ]]; then exit 1; fi\n')
    done, calls = recorded(repository / 'tools' / 'run_tests.sh', '--all', '-k', HOSTILE, WHEELS=str(tmp_path))
    assert done.returncode == 1
    assert [call[4:] for call in calls if call[:2] == ['-m', 'pytest']] == [
        ['-k', HOSTILE], ['-m', 'seg and not slow', '-k', HOSTILE]]
    shutil.copy(recorder, failing)
    done, _ = recorded(repository / 'tools' / 'run_tests.sh', '--all', WHEELS=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_segmentation_on_the_forks_needs_no_build(repository, recorder, recorded):
    python = repository / '.venv-onedl-seg' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    shutil.copy(recorder, python)
    done, calls = recorded(repository / 'tools' / 'run_tests.sh', '--onedl', '--seg', '-k', HOSTILE)
    assert done.returncode == 0, done.stderr
    assert any('requirements/onedl-seg.txt' in call for call in calls if call[:3] == ['-m', 'pip', 'install'])
    assert not [call for call in calls if call[:3] == ['-m', 'pip', 'wheel']]
    assert calls[-1] == ['-m', 'pytest', '-n', '2', '-m', 'seg and not slow', '-k', HOSTILE]


def test_continuous_integration_runs_the_command_of_the_readme():
    command, = re.findall(r'^bash tools/run_tests.sh.*?(?= +#)', (TOOLS.parent / 'README.md').read_text(), re.MULTILINE)
    assert (TOOLS.parent / '.ci' / 'run').read_text().splitlines()[-1] == f'exec {command}'
    assert command == 'bash tools/run_tests.sh --all', 'segmentation is tested too'


@pytest.mark.parametrize('script', sorted(path.name for path in TOOLS.glob('*.sh')))
def test_a_script_is_a_whole_one(script):
    subprocess.run(['bash', '-n', TOOLS / script], check=True)
