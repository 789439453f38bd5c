"""Data sets: a hold-out of training images for the selection, and a small real data set that is always at hand."""

from mmamd.datasets.digits import Digits
from mmamd.datasets.holdout import HoldOut, split_by_class

__all__ = ['Digits', 'HoldOut', 'split_by_class']
