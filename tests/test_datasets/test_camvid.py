"""CamVid: pixels without a class are ignored, frames are in the order of the film."""

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

pytestmark = pytest.mark.seg


@pytest.fixture
def camvid(tmp_path):
    """Function that builds the data set over three frames, of which one pixel each is of class 0, 3 and void."""
    for folder in ('images', 'annotations'):
        (tmp_path / folder / 'train').mkdir(parents=True)
    for name in ('0016E5_2', '0001TP_1', '0016E5_1'):
        Image.new('RGB', (3, 2)).save(tmp_path / 'images' / 'train' / f'{name}.jpg')
        Image.fromarray(np.array([[0, 3, 11], [3, 3, 3]], np.uint8)).save(
            tmp_path / 'annotations' / 'train' / f'{name}.png')

    def build(**options):
        with DefaultScope.overwrite_default_scope('mmseg'):
            return DATASETS.build(dict(
                type='mmamd.CamVid', data_root=str(tmp_path), pipeline=[dict(type='LoadAnnotations')],
                data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'), **options))

    return build


def test_void_is_ignored_and_frames_are_neighbours(camvid):
    frames = camvid()
    assert [frames.get_data_info(i)['img_path'].rpartition('/')[2] for i in range(3)] == [
        '0001TP_1.jpg', '0016E5_1.jpg', '0016E5_2.jpg']
    assert frames[0]['gt_seg_map'].tolist() == [[0, 3, 255], [3, 3, 3]]
    assert len(frames.metainfo['classes']) == len(frames.metainfo['palette']) == 11


def test_some_of_the_classes_are_numbered_anew_and_void_stays_ignored(camvid):
    roads = camvid(metainfo=dict(classes=('road', 'car')))
    assert roads[0]['gt_seg_map'].tolist() == [[255, 0, 255], [0, 0, 0]]
    assert roads.metainfo['palette'] == [[128, 64, 128], [64, 0, 128]]


def test_a_palette_that_does_not_match_the_classes_is_refused(camvid):
    with pytest.raises(ValueError, match='palette does not match classes'):
        camvid(metainfo=dict(palette=[[0, 0, 0]]))
