"""The forms in which a candidate leaves the project: what each needs, and what it cannot express.

A form is a writer of files and a reader of them, so that what the files compute can be compared with the network that
was written.
"""

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch.nn as nn
from mmengine.config import Config

from mmamd.export.cut import cut_network, save_student, student_config
from mmamd.export.logits import Function, Logits
from mmamd.export.metadata import describe
from mmamd.export.onnx import export_onnx, read_onnx
from mmamd.export.plain import plain_config, plain_weights
from mmamd.export.safetensors import load_safetensors, save_model, save_safetensors
from mmamd.export.torch_export import export_torch, read_torch
from mmamd.files.checkpoint import write_checkpoint
from mmamd.structures import Candidate, Network


@dataclass(frozen=True)
class Subject:
    """One candidate to be written.

    Attributes:
        cfg: Config of the run, whose model is the distiller.
        network: The shared network with its weights, uncut, on the CPU, in eval mode.
        candidate: Which part of it.
    """

    cfg: Config
    network: nn.Module
    candidate: Candidate | Network

    @cached_property
    def small(self) -> nn.Module:
        return cut_network(self.network, self.candidate)

    @cached_property
    def config(self) -> Config:
        return student_config(self.cfg, self.network, self.candidate)

    @cached_property
    def metadata(self) -> dict[str, str]:
        return describe(self.config, self.candidate, self.network.backbone.input_shape)


@dataclass(frozen=True)
class Form:
    """One form.

    Attributes:
        files: Names of its files.
        needs: Packages that whoever loads it must have.
        write: Writes the files into a folder.
        read: Makes the function from images to logits from the files of a folder.
        method: Method that a backbone must have to be expressed in this form, if any.
    """

    files: tuple[str, ...]
    needs: str
    write: Callable[[Subject, Path], None]
    read: Callable[[Path], Function]
    method: str | None = None


# --- the forms ---

def _write_pth(subject: Subject, folder: Path) -> None:
    save_student(subject.small, folder / 'model.pth')
    subject.config.dump(folder / 'config.py')


def _read_pth(folder: Path) -> Function:
    return _host_model(folder / 'config.py', folder / 'model.pth')


def _write_safetensors(subject: Subject, folder: Path) -> None:
    save_model(subject.small, subject.config, folder / 'model.safetensors', subject.metadata)


def _read_safetensors(folder: Path) -> Function:
    return Logits(load_safetensors(folder / 'model.safetensors'))


def _write_onnx(subject: Subject, folder: Path) -> None:
    export_onnx(subject.small, folder / 'model.onnx', subject.metadata)


def _write_mmpretrain(subject: Subject, folder: Path) -> None:
    config = _converted(subject, 'mmpretrain', lambda: plain_config(subject.cfg, subject.network, subject.candidate))
    write_checkpoint({'state_dict': plain_weights(config, subject.network), 'meta': {}},
                     folder / 'mmpretrain_model.pth')
    config.dump(folder / 'mmpretrain_config.py')


def _read_mmpretrain(folder: Path) -> Function:
    return _host_model(folder / 'mmpretrain_config.py', folder / 'mmpretrain_model.pth')


def _write_timm(subject: Subject, folder: Path) -> None:
    form = _converted(subject, 'timm', lambda: subject.small.backbone.timm_form(subject.small))
    save_safetensors(form.weights, folder / 'timm_model.safetensors',
                     {**subject.metadata, 'timm': json.dumps(form.arguments)})
    shutil.copyfile(form.builder, folder / 'timm_model.py')


def _read_timm(folder: Path) -> Function:
    if importlib.util.find_spec('timm') is None:
        raise ImportError("the form 'timm' is checked by timm, which is not installed: pip install 'mmamd[timm]'")
    # Under a name of its own, so that no module of the user's is in the way.
    spec = importlib.util.spec_from_file_location('_mmamd_timm_model', folder / 'timm_model.py')
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    return builder.load(folder / 'timm_model.safetensors')


def _write_torch(subject: Subject, folder: Path) -> None:
    export_torch(subject.small, folder / 'model.pt2', subject.metadata)


FORMS: dict[str, Form] = {
    'pth': Form(('model.pth', 'config.py'), 'mmpretrain, mmamd', _write_pth, _read_pth),
    'safetensors': Form(('model.safetensors',), 'mmpretrain, mmamd, safetensors', _write_safetensors,
                        _read_safetensors),
    'onnx': Form(('model.onnx',), 'a runtime of ONNX, opset 17', _write_onnx,
                 lambda folder: read_onnx(folder / 'model.onnx')),
    'torch-export': Form(('model.pt2',), 'torch', _write_torch, lambda folder: read_torch(folder / 'model.pt2')),
    'mmpretrain': Form(('mmpretrain_model.pth', 'mmpretrain_config.py'), 'mmpretrain', _write_mmpretrain,
                       _read_mmpretrain, method='plain_config'),
    'timm': Form(('timm_model.safetensors', 'timm_model.py'), 'timm>=1.0.31, safetensors', _write_timm, _read_timm,
                 method='timm_form'),
}


def _host_model(config: Path, weights: Path) -> Function:
    if Config.fromfile(config).get('default_scope') == 'mmseg':
        from mmseg.apis import init_model
        return Logits(init_model(str(config), str(weights), device='cpu'))
    from mmpretrain import get_model
    return Logits(get_model(str(config), pretrained=str(weights)))


def _converted(subject: Subject, name: str, convert: Callable[[], Any]) -> Any:
    """What ``convert`` makes of the subject. Raises ValueError, with the forms that can, if the form cannot be it."""
    backbone = subject.network.backbone
    always = [other for other, form in FORMS.items() if form.method is None]
    try:
        if not hasattr(backbone, FORMS[name].method):
            raise ValueError(f'a {type(backbone).__name__} has no such form')
        return convert()
    except ValueError as error:
        raise ValueError(f'the form {name!r} cannot express candidate {subject.candidate.key}: {error}. '
                         f'Forms that can express every candidate: {", ".join(always)}') from error
