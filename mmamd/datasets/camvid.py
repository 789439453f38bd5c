"""CamVid, road scenes with eleven classes: frames of video, one a second, with a label a pixel.

367 frames to train on, 101 to validate and 233 to test on, 480 x 360 pixels (Brostow et al. 2009; the classes of
Badrinarayanan et al., SegNet).
"""

from collections.abc import Sequence

from mmseg.datasets import BaseSegDataset

from mmamd.registry import DATASETS

VOID, IGNORED = 11, 255  # pixels without a class: in the files, and as the host's losses and measures ignore them


@DATASETS.register_module()
class CamVid(BaseSegDataset):
    """Images ``NAME.jpg`` and label maps ``NAME.png``, in the order of their names: neighbours are neighbouring frames.

    Label 11 of the files, void, becomes 255 by the label map.

    Args:
        **kwargs: Of :class:`mmseg.datasets.BaseSegDataset`; ``data_prefix=dict(img_path='images/train',
            seg_map_path='annotations/train')`` below ``data_root``.
    """

    METAINFO = {
        'classes': ('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'car', 'pedestrian',
                    'bicyclist'),
        'palette': [[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222], [128, 128, 0],
                    [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192]]}

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int]:
        """Label of the files -> label of a run, void included."""
        return {**(super().get_label_map(new_classes) or {}), VOID: IGNORED}
