"""Hooks that say in a config how a stage works are known by all of their arguments."""

import pytest

from mmamd.configured_hook import ConfiguredHook
from mmamd.distillation.sandwich_hook import SandwichSparsityHook
from mmamd.selection.npsd_hook import NPSDSelectionHook


class Toy(ConfiguredHook):
    def __init__(self, *, rate=1., name='a'):
        self.rate = rate
        self.name = name


def test_every_argument_counts():
    assert Toy(rate=2.).identity() == {'rate': 2., 'name': 'a'}
    assert Toy(rate=2.) == Toy(rate=2.) != Toy(rate=2., name='b')


def test_hooks_of_two_kinds_differ():
    class Other(Toy):
        pass

    assert Toy() != Other()


@pytest.mark.parametrize('cls, other', [
    (SandwichSparsityHook, dict(sampler='random', num_random=2, halve_after=[3])),
    (NPSDSelectionHook, dict(rule='lambda_tradeoff', metric='hits/top5', percent=False, lam=0.3, reference='full',
                             report_test=False))])
def test_the_hooks_of_the_method_are_made_again_from_what_they_are_known_by(cls, other):
    hook = cls(**other)
    assert other.items() <= hook.identity().items()
    assert cls(**hook.identity()) == hook != cls()
