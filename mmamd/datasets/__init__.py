"""Data sets: a hold-out of training images for the selection, views that repeat, and real data sets, of which one is
always at hand."""

from importlib.util import find_spec

from mmamd.datasets.digits import Digits
from mmamd.datasets.holdout import HoldOut, split_by_class, split_in_blocks
from mmamd.datasets.repeated_views import RepeatedViews
from mmamd.datasets.stream_sampler import StreamSampler

__all__ = ['Digits', 'HoldOut', 'RepeatedViews', 'StreamSampler', 'split_by_class', 'split_in_blocks']

# Those of segmentation are of classes of MMSegmentation, which needs the compiled operators of the full mmcv.
if find_spec('mmseg') and find_spec('mmcv._ext'):
    from mmamd.datasets.camvid import CamVid
    __all__ += ['CamVid']
