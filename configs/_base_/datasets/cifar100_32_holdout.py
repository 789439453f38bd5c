"""CIFAR-100 as PNG folders, 32 px, with every tenth training image of each class held out for the selection.

For teachers that are trained here: the held-out images are drawn evenly from each class. File names carry the search
words of the photographs, so the split of cifar100_32.py, by name, is a little harder than the test split. Layout under
``data_root``: train/<class>/<file>.png, test/<class>/<file>.png, meta/test.txt.
"""
_base_ = ['cifar100_32.py']

train_dataloader = dict(dataset=dict(
    _delete_=True, type='mmamd.HoldOut', part='train', every=10,
    dataset=dict(type='CustomDataset', data_prefix='train', pipeline=_base_.train_pipeline)))
val_dataloader = dict(dataset=dict(
    _delete_=True, type='mmamd.HoldOut', part='held_out', every=10,
    dataset=dict(type='CustomDataset', data_prefix='train', pipeline=_base_.test_pipeline)))
