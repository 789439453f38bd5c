"""Where curves and pictures go is looked at before anything runs."""

import pytest

import mmamd
from mmamd.pipeline.config import vis_backends
from mmamd.pipeline.config.vis_backends import check_backends


@pytest.mark.parametrize('backends', [None, [], [dict(type='LocalVisBackend')],
                                      [dict(type='LocalVisBackend', save_dir='x', img_save_dir='y')]])
def test_those_of_the_host_are_taken(backends):
    check_backends(backends)


@pytest.mark.parametrize('backends, message', [
    ('LocalVisBackend', r'vis_backends must be a list of sections, got .LocalVisBackend.; e.g. \[dict'),
    (dict(type='LocalVisBackend'), 'must be a list of sections'),
    (['LocalVisBackend'], r'vis_backends.0 must be a section, dict\(type=...\), got'),
    ([dict(type='LocalVisBackends')], 'vis_backends.0.type=.LocalVisBackends.: there is no such .*Did you mean'),
    ([dict(type='LocalVisBackend'), dict(type='LocalVisBackend', folder='x')],
     'vis_backends.1: LocalVisBackend has no option .folder.')])
def test_what_could_not_be_built_is_refused(backends, message):
    with pytest.raises(ValueError, match=message):
        check_backends(backends)


def test_a_backend_whose_package_is_missing_is_refused(monkeypatch):
    monkeypatch.setitem(vis_backends.PACKAGES, 'WandbVisBackend', ('no_such_package',))
    with pytest.raises(ValueError, match='needs the package no_such_package, which is not installed: pip install'):
        check_backends([dict(type='WandbVisBackend')])


def test_a_run_is_refused_before_anything_is_written(tiny_config, tmp_path):
    config = tiny_config(**{'visualizer.vis_backends': [dict(type='Tensorboard')]})
    with pytest.raises(ValueError, match='visualizer.vis_backends.0.type'):
        mmamd.compress(config, work_dir=tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
