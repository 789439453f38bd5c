"""Generated street scenes as a data set of MMSegmentation: nothing to download."""

from io import BytesIO
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmamd.datasets.scenes import CLASSES, PALETTE, scene
from mmamd.registry import DATASETS


def write_scenes(images: Path, labels: Path, num: int, first: int = 0) -> list[str]:
    """Write ``NNNN.png`` of so many scenes into both folders, where they are not there yet; returns the names."""
    names = [f'{number:04d}.png' for number in range(first, first + num)]
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, first):
        if not ((images / name).is_file() and (labels / name).is_file()):
            for folder, picture in zip((images, labels), scene(number), strict=True):
                content = BytesIO()
                Image.fromarray(picture).save(content, 'png')
                whole = folder / f'.{name}'  # no other process sees half a file
                whole.write_bytes(content.getvalue())
                whole.replace(folder / name)
    return names


@DATASETS.register_module()
class StreetScenes(BaseSegDataset):
    """Scenes of four classes, written below ``data_root`` when they are first asked for (:mod:`mmamd.datasets.scenes`).

    Args:
        num: Number of scenes.
        first: Number of the first one. Scenes of one number are one scene.
        **kwargs: Of :class:`mmseg.datasets.BaseSegDataset`; ``data_prefix`` names the folders of images and labels.
    """

    METAINFO = {'classes': CLASSES, 'palette': PALETTE}

    def __init__(self, *, num: int, first: int = 0, **kwargs: Any) -> None:
        self.num, self.first = num, first
        super().__init__(img_suffix='.png', seg_map_suffix='.png', **kwargs)

    def load_data_list(self) -> list[dict]:
        """All scenes, in the order of their numbers."""
        images, labels = Path(self.data_prefix['img_path']), Path(self.data_prefix['seg_map_path'])
        return [dict(img_path=str(images / name), seg_map_path=str(labels / name), label_map=self.label_map,
                     reduce_zero_label=self.reduce_zero_label, seg_fields=[])
                for name in write_scenes(images, labels, self.num, self.first)]
