"""Label maps are read as the host reads them, and known by what is in them."""

import sys

import numpy as np
import pytest
from PIL import Image

from mmamd.tasks import Segmentation
from mmamd.tasks.label_maps import image_size, label_map_of, read_labels

EVERY = np.arange(256, dtype=np.uint8).reshape(2, 128)


@pytest.fixture
def labels(tmp_path):
    """Path of a file with every label once."""
    Image.fromarray(EVERY).save(tmp_path / 'labels.png')
    return str(tmp_path / 'labels.png')


@pytest.mark.seg
@pytest.mark.parametrize('reduce', [False, True])
@pytest.mark.parametrize('changes', [None, {0: 1, 1: 0, 11: 255}])
def test_labels_are_those_that_the_host_loads(labels, reduce, changes):
    from mmseg.datasets.transforms import LoadAnnotations
    info = dict(seg_map_path=labels, reduce_zero_label=reduce, label_map=changes, seg_fields=[])
    expected = LoadAnnotations().transform(info)['gt_seg_map']
    assert (read_labels(labels, reduce, list((changes or {}).items())) == expected).all()


def test_zero_becomes_ignored_and_then_labels_are_exchanged(labels):
    assert read_labels(labels, True, [(0, 9)]).ravel()[[0, 1, 2, 254, 255]].tolist() == [255, 9, 1, 253, 255]


def test_a_file_is_known_by_its_labels_and_looked_at_again_when_it_has_changed(labels, tmp_path):
    known = label_map_of(dict(seg_map_path=labels, label_map={254: 255}))
    assert known.size == image_size(labels) == (128, 2)
    assert known.labels == list(range(254)) and known.counts[-1] == (255, 2)
    Image.new('L', (1, 3)).save(tmp_path / 'labels.png')
    assert label_map_of(dict(seg_map_path=labels)).counts == ((0, 3),)


def test_colours_and_other_files_are_no_labels(tmp_path):
    Image.new('RGB', (2, 2)).save(tmp_path / 'colours.png')
    with pytest.raises(ValueError, match=r'has the shape \(2, 2, 3\), expected one number a pixel'):
        label_map_of(dict(seg_map_path=str(tmp_path / 'colours.png')))
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(OSError, match='it is no image'):
        label_map_of(dict(seg_map_path=str(tmp_path / 'text.png')))


def test_where_segmentation_is_not_installed_what_to_install_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmseg', None)
    with pytest.raises(ValueError, match="default_scope='mmseg' needs MMSegmentation and the full mmcv.*mmcv==2.1.0"):
        Segmentation().check_installed()
