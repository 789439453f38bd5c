"""Images that are mixed while they are read, each with one other."""

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import BaseDataset, force_full_init
from mmpretrain.models.utils.batch_augments import CutMix
from torch import Tensor

from mmamd.checks import check, number
from mmamd.datasets.wrapper import DatasetWrapper
from mmamd.registry import DATASETS


@DATASETS.register_module()
class MixedImages(DatasetWrapper):
    """A training set for classification of which some images are mixed, half of them by mixup, half by CutMix.

    A preprocessor mixes what happens to come together in a batch. Here the other image and the proportion are drawn as
    an image is read, as its augmentation is, so whoever can repeat the one can repeat the other. The proportion is
    uniform between 0 and 1. Every image has its classes in ``gt_score``, shape (C,), in proportion to what is seen of
    them; ``gt_label`` and ``sample_idx`` stay those of the image itself.

    Args:
        dataset: A data set of packed samples, or its config. All its images have one shape (channels, H, W).
        share: Of the images that are mixed, in [0, 1].
        num_classes: C.
        lazy_init: Whether to leave loading the annotations to the first use.

    Raises:
        ValueError: If the share is out of its range, or two images that are to be mixed have different shapes.

    Source: Zhang et al. 2018 (mixup) and Yun et al. 2019 (CutMix); Beyer et al. 2022, "Knowledge distillation: A good
    teacher is patient and consistent", find that a student learns better what the teacher says of mixed images.
    """

    def __init__(self, *, dataset: BaseDataset | dict, share: float, num_classes: int, lazy_init: bool = False) -> None:
        check('share', share, number(least=0., most=1.))
        self.share = share
        self.num_classes = num_classes
        self._cutmix = CutMix(alpha=1.)
        super().__init__(dataset=dataset, lazy_init=lazy_init)

    @force_full_init
    def __getitem__(self, idx: int) -> dict:
        """The image at a place, mixed or not."""
        sample = self.dataset[idx]
        image, score_C = sample['inputs'], self._score(sample)
        if np.random.random() < self.share:
            place = np.random.randint(len(self))
            other = self.dataset[place]
            if other['inputs'].shape != image.shape:
                raise ValueError(f'image {idx} of the training set is of shape {tuple(image.shape)}, image {place} of '
                                 f'{tuple(other["inputs"].shape)}, and only images of one size can be mixed; end the '
                                 'train_pipeline with a crop or a resize to a fixed size, or set teacher_cache.mixed=0')
            image, kept = self._mixed(image, other['inputs'])
            score_C = kept * score_C + (1 - kept) * self._score(other)
        return {**sample, 'inputs': image, 'data_samples': sample['data_samples'].set_gt_score(score_C)}

    def _score(self, sample: dict) -> Tensor:
        return F.one_hot(sample['data_samples'].gt_label.squeeze(), self.num_classes).float()

    def _mixed(self, image: Tensor, other: Tensor) -> tuple[Tensor, float]:
        """What is seen of two images, and the share of the first one in it."""
        kept = np.random.random()
        if np.random.random() < 0.5:
            (top, bottom, left, right), kept = self._cutmix.cutmix_bbox_and_lam(image.shape[-2:], kept)
            image = image.clone()
            image[:, top:bottom, left:right] = other[:, top:bottom, left:right]
            return image, kept
        mixed = torch.lerp(other.float(), image.float(), kept)
        return (mixed if image.is_floating_point() else mixed.round().to(image.dtype)), kept
