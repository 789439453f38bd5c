"""The first images of each class, to learn a class from few of them."""

from mmengine.dataset import BaseDataset

from mmamd.datasets.subset import Subset, labels_of
from mmamd.registry import DATASETS


@DATASETS.register_module()
class FewShot(Subset):
    """The first ``shots`` images of each class, in the order of the data set; or all of them.

    Args:
        dataset: A data set, or its config; an un-prefixed type is looked up in the default scope.
        shots: Images of a class; None for all.
        lazy_init: Whether to leave loading the annotations to the first use.

    Raises:
        TypeError: If ``dataset`` is neither a config nor a data set.
        ValueError: If ``shots`` is no integer of at least 1, a class has fewer images, or a sample has not exactly one
            class.
    """

    def __init__(self, *, dataset: BaseDataset | dict, shots: int | None = None, lazy_init: bool = False) -> None:
        if shots is not None and (isinstance(shots, bool) or not isinstance(shots, int) or shots < 1):
            raise ValueError(f'shots must be an integer of at least 1, got {shots!r}; None takes all images.')
        self.shots = shots
        super().__init__(dataset=dataset, lazy_init=lazy_init)

    def choose(self) -> list[int]:
        if self.shots is None:
            return list(range(len(self.dataset)))
        of_class: dict[int, list[int]] = {label: [] for label in range(len(self.metainfo.get('classes') or ()))}
        for index, label in enumerate(labels_of(self.dataset, 'few shots are counted within a class')):
            of_class.setdefault(label, []).append(index)
        least = min(of_class, key=lambda label: len(of_class[label]))
        if len(of_class[least]) < self.shots:
            raise ValueError(f'shots={self.shots} are more than the {len(of_class[least])} images of class {least} of '
                             f'this {type(self.dataset).__name__}. Choose fewer.')
        return sorted(index for indices in of_class.values() for index in indices[:self.shots])

    def __repr__(self) -> str:
        return f'{type(self).__name__}(shots={self.shots}, dataset={self.dataset!r})'
