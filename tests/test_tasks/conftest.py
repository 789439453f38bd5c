import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def scope_of_classification():
    """The host's classifier builds its preprocessor in the default scope, which a run sets."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield
