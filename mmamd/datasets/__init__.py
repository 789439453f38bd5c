"""Data sets: a hold-out of training images for the selection, views that repeat, and a small real data set that is
always at hand."""

from mmamd.datasets.digits import Digits
from mmamd.datasets.holdout import HoldOut, split_by_class
from mmamd.datasets.repeated_views import RepeatedViews
from mmamd.datasets.stream_sampler import StreamSampler

__all__ = ['Digits', 'HoldOut', 'RepeatedViews', 'StreamSampler', 'split_by_class']
