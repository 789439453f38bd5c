"""Data sets: a hold-out of training images for the selection, and a small real data set that is always at hand."""

from mmamd.datasets.digits import Digits
from mmamd.datasets.holdout import HoldOut, split_by_class
from mmamd.datasets.stream_sampler import StreamSampler

__all__ = ['Digits', 'HoldOut', 'StreamSampler', 'split_by_class']
