"""A data set whose samples are numbers, for tests of what takes parts of one."""

from mmpretrain.datasets import BaseDataset

LABELS = [0, 1, 0, 1, 0, 1, 0, 0]  # every=2: held out are 2, 6 of class 0 and 3 of class 1


class Numbered(BaseDataset):
    """Sample i is the number i, of class labels[i]."""

    METAINFO = {'classes': ('even', 'odd')}

    def __init__(self, labels=tuple(LABELS), **kwargs):
        self.labels = labels
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self):
        return [dict(number=number, gt_label=label) for number, label in enumerate(self.labels)]


def numbers(dataset):
    return [dataset[index]['number'] for index in range(len(dataset))]
