"""The tests over the stacks of docs/stacks.md: `nox`, or one of them: `nox -s "tests(3.12)"`.

Where the host has MMSegmentation these are its tests, else the default tier. tools/run_tests.sh makes each environment
and keeps it; nox lists them, runs them in turn and says which have failed. Arguments after `--` go to run_tests.sh:
`nox -- -k pruning`.
"""

import nox

# Python, torch, torchvision, numpy (the newest where none is named), and what of requirements/ is the host.
STACKS = [('3.11', '2.12.1', '0.27.1', '', 'mminstall'),
          ('3.11', '2.12.1', '0.27.1', '', 'onedl'),
          ('3.10', '2.11.0', '0.26.0', '', 'mminstall'),
          ('3.12', '2.13.0', '0.28.0', '', 'mminstall'),
          ('3.11', '2.6.0', '0.21.0', '1.26.4', 'mminstall'),
          ('3.11', '2.12.1', '0.27.1', '', 'seg'),
          ('3.11', '2.12.1', '0.27.1', '', 'onedl-seg')]


def name(python, numpy, host):
    """Of a stack: what differs from the first one."""
    return '-'.join([python, *(['oldest'] if numpy else []), *([] if host == 'mminstall' else [host])])


@nox.session(venv_backend='none')
@nox.parametrize('python, torch, vision, numpy, host', STACKS,
                 ids=[name(python, numpy, host) for python, _, _, numpy, host in STACKS])
def tests(session, python, torch, vision, numpy, host):
    session.run('bash', 'tools/run_tests.sh', *session.posargs, external=True, env={
        'VENV': f'.venv-{python}-{torch}-{host}', 'PYTHON': f'python{python}', 'HOST': host,
        'TORCH': f'torch=={torch} torchvision=={vision}{f" numpy=={numpy}" if numpy else ""}'})
