import pytest
from joint_step_toys import raw_batch


@pytest.fixture
def batch():
    return raw_batch()
