"""The loss of ten joint steps as recorded: a change of the joint step that keeps the method keeps this curve."""

import json
from pathlib import Path

import pytest
from joint_step_toys import joint_loop, raw_batch

RECORD = Path(__file__).parent / 'loss_curve.json'


def loss_curve(distiller):
    """Losses of ten steps of SGD on one batch."""
    loop = joint_loop(distiller, lr=0.05, momentum=0.9)
    return [loop.step(raw_batch())['loss'].item() for _ in range(10)]


def test_ten_joint_steps_have_the_recorded_losses(make_distiller):
    recorded = json.loads(RECORD.read_text())
    # Sums of another order or processor differ in the last bits of float32, 2^-23 each.
    assert loss_curve(make_distiller()) == pytest.approx(recorded, rel=1e-4)
    assert recorded[-1] < recorded[0]
