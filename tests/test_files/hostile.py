"""Pickles that touch a file when they are read, in every format that torch reads."""

import io
import os
import pickle
import zipfile

import torch


class Touch:
    """Is pickled as a call that makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        # Not of the modules that torch always blocks, which would test less.
        return __import__('pathlib').Path.touch, (__import__('pathlib').PosixPath(self.marker),)


class Run(Touch):
    """The same by the shell."""

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


def plant(path, marker, kind='zip', payload=Touch, **beside):
    """Write a hostile checkpoint; what stands beside the payload is as it would be in a real one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {'state_dict': {}, 'meta': {}, **beside, 'extra': payload(marker)}
    if kind == 'zip':
        torch.save(content, path)
    elif kind == 'legacy':
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif kind == 'pickle':  # of protocol 4, as pickle.dump writes it
        path.write_bytes(pickle.dumps(content))
    elif kind == 'object':
        torch.save(payload(marker), path)
    else:
        raise KeyError(kind)


KINDS = ('zip', 'legacy', 'pickle', 'object')


def repacked(path, pickled):
    """A zip file of torch.save whose pickle is exchanged for another."""
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, 'w') as new:
        for item in old.infolist():
            new.writestr(item, pickled if item.filename.endswith('data.pkl') else old.read(item))
    path.write_bytes(content.getvalue())
