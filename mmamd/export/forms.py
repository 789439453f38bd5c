"""The forms in which a candidate leaves the project: what each needs, and what it cannot express.

A form is a writer of files and a reader of them, so that what the files compute can be compared with the network that
was written. Whether it can be is asked before anything is.
"""

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch.nn as nn
from mmengine.config import Config

from mmamd.export.comparison import Samples
from mmamd.export.cut import cut_network, save_student, student_config
from mmamd.export.int8 import quantise
from mmamd.export.logits import Function, Logits
from mmamd.export.metadata import describe
from mmamd.export.onnx import PREDICT, add_metadata, export_onnx, read_onnx
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
        samples: Images that a form is calibrated and judged on which is not exact; None where there are none.
        pixels: Layout of the pixels that graphs of ONNX take, normalising them themselves; None for those that take
            preprocessed images.
    """

    cfg: Config
    network: nn.Module
    candidate: Candidate | Network
    samples: Samples | None = None
    pixels: str | None = None

    @cached_property
    def small(self) -> nn.Module:
        return cut_network(self.network, self.candidate)

    @cached_property
    def config(self) -> Config:
        return student_config(self.cfg, self.network, self.candidate)

    @cached_property
    def metadata(self) -> dict[str, str]:
        return describe(self.config, self.candidate, self.network.backbone.input_shape)

    @property
    def meta(self) -> dict:
        """What the hosts look for in a checkpoint: names of the classes, and their colours where pixels have them."""
        names = self.config.get('class_names')
        known = {'classes': list(names)} if names else {}
        if self.cfg.get('default_scope') == 'mmseg':
            known['palette'] = _palette(self.cfg.test_dataloader.dataset)
        return {'dataset_meta': known} if known else {}

    @property
    def graph_metadata(self) -> dict[str, str]:
        """The same for a graph of ONNX, with the layout of its pixels."""
        return self.metadata | ({'layout': self.pixels} if self.pixels else {})


@dataclass(frozen=True)
class Form:
    """One form.

    Attributes:
        files: Names of its files.
        needs: Packages that whoever loads it must have, or a function of the subject that names them.
        write: Writes the files into a folder.
        read: Makes the function from images to logits from the files of a folder.
        method: Method that a backbone must have to be expressed in this form, if any.
        prepare: Raises ValueError, FileNotFoundError or ImportError, in little time, where the form cannot be made.
        is_exact: Whether it must be the network's function; one that is not is compared on test images.
        is_graph: Whether it is a graph of ONNX.
    """

    files: tuple[str, ...]
    needs: str | Callable[[Subject], str]
    write: Callable[[Subject, Path], None]
    read: Callable[[Path], Function]
    method: str | None = None
    prepare: Callable[[Subject], Any] = lambda _: None
    is_exact: bool = True
    is_graph: bool = False

    def needed_by(self, subject: Subject) -> str:
        """Packages that whoever loads this subject in this form must have."""
        return self.needs if isinstance(self.needs, str) else self.needs(subject)


# --- the forms ---

def _write_pth(subject: Subject, folder: Path) -> None:
    save_student(subject.small, folder / 'model.pth', subject.meta)
    subject.config.dump(folder / 'config.py')


def _read_pth(folder: Path) -> Function:
    return _host_model(folder / 'config.py', folder / 'model.pth')


def _write_safetensors(subject: Subject, folder: Path) -> None:
    save_model(subject.small, subject.config, folder / 'model.safetensors', subject.metadata)


def _read_safetensors(folder: Path) -> Function:
    return Logits(load_safetensors(folder / 'model.safetensors'))


def _write_onnx(subject: Subject, folder: Path) -> None:
    export_onnx(subject.small, folder / 'model.onnx', subject.graph_metadata)
    shutil.copyfile(PREDICT, folder / PREDICT.name)


def _check_any_size(subject: Subject) -> None:
    backbone = subject.network.backbone
    if not backbone.traces_any_size:
        raise ValueError(f'the graph of a {type(backbone).__name__} is of one image size, for which its positions or '
                         "windows are laid out; take the form 'onnx'")
    if subject.pixels:
        raise ValueError("the form 'onnx-any-size' takes preprocessed images; leave the preprocessing out, or take the "
                         "form 'onnx'")


def _plain_config(subject: Subject) -> Config:
    return _converted(subject, 'mmpretrain', lambda: plain_config(subject.cfg, subject.network, subject.candidate))


def _write_mmpretrain(subject: Subject, folder: Path) -> None:
    config = _plain_config(subject)
    weights = plain_weights(config, subject.network, subject.small)
    write_checkpoint({'state_dict': weights, 'meta': subject.meta}, folder / 'mmpretrain_model.pth')
    config.dump(folder / 'mmpretrain_config.py')


def _read_mmpretrain(folder: Path) -> Function:
    return _host_model(folder / 'mmpretrain_config.py', folder / 'mmpretrain_model.pth')


def _check_mmseg(subject: Subject) -> None:
    if subject.cfg.get('default_scope') != 'mmseg':
        raise ValueError("the form 'mmseg' is of segmentors, and this network is none; its backbone becomes one's by "
                         "training: backbone=dict(type='mmamd.CompressedBackbone', run=...)")


def _mmseg_config(subject: Subject) -> tuple[Config, bool]:
    """Config that MMSegmentation reads, and whether without mmamd; it has no network such as most candidates are."""
    if hasattr(subject.network.backbone, 'plain_config'):
        try:
            return plain_config(subject.cfg, subject.network, subject.candidate), True
        except ValueError:
            pass
    return subject.config, False


def _needs_of_mmseg(subject: Subject) -> str:
    return f"mmsegmentation, {'mmpretrain' if _mmseg_config(subject)[1] else 'mmamd'}"


def _write_mmseg(subject: Subject, folder: Path) -> None:
    config, is_plain = _mmseg_config(subject)
    weights = plain_weights(config, subject.network, subject.small) if is_plain else subject.small.state_dict()
    before = (config.get('custom_imports') or {}).get('imports') or []
    config.custom_imports = dict(imports=[*([before] if isinstance(before, str) else before),
                                          'mmpretrain.models' if is_plain else 'mmamd'])
    write_checkpoint({'state_dict': weights, 'meta': subject.meta}, folder / 'mmseg_model.pth')
    config.dump(folder / 'mmseg_config.py')


def _read_mmseg(folder: Path) -> Function:
    return _host_model(folder / 'mmseg_config.py', folder / 'mmseg_model.pth')


def _timm_form(subject: Subject) -> Any:
    if importlib.util.find_spec('timm') is None:
        raise ImportError("the form 'timm' is checked by timm, which is not installed: pip install 'mmamd[timm]'")
    return _converted(subject, 'timm', lambda: subject.small.backbone.timm_form(subject.small))


def _write_timm(subject: Subject, folder: Path) -> None:
    form = _timm_form(subject)
    save_safetensors(form.weights, folder / 'timm_model.safetensors',
                     {**subject.metadata, 'timm': json.dumps(form.arguments)})
    shutil.copyfile(form.builder, folder / 'timm_model.py')


def _read_timm(folder: Path) -> Function:
    # Under a name of its own, so that no module of the user's is in the way.
    spec = importlib.util.spec_from_file_location('_mmamd_timm_model', folder / 'timm_model.py')
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    return builder.load(folder / 'timm_model.safetensors')


def _write_torch(subject: Subject, folder: Path) -> None:
    export_torch(subject.small, folder / 'model.pt2', subject.metadata)


def _check_samples(subject: Subject, is_static: bool) -> None:
    """Integers lose something: without images nobody could say what."""
    if subject.samples is None:
        raise ValueError('integers are calibrated and judged on images, and there are none; export from the work_dir '
                         'of a run')
    next(iter(subject.samples.test()))
    try:
        _ = is_static and next(iter(subject.samples.calibration()))
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"the form 'int8' is calibrated on training images: {error}. The form 'int8-dynamic' needs "
                         'none') from error


def _write_int8(subject: Subject, folder: Path, name: str, is_static: bool) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / 'float.onnx'
        export_onnx(subject.small, path, subject.graph_metadata)
        quantise(path, folder / name, subject.samples.calibration() if is_static else None)
    add_metadata(folder / name, {**subject.graph_metadata, 'precision': 'int8' if is_static else 'int8, dynamic'})
    shutil.copyfile(PREDICT, folder / PREDICT.name)


def _int8(file: str, is_static: bool) -> Form:
    return Form((file, PREDICT.name), 'ONNX Runtime', lambda subject, folder: _write_int8(
        subject, folder, file, is_static), lambda folder: read_onnx(folder / file), is_exact=False, is_graph=True,
        prepare=lambda subject: _check_samples(subject, is_static))


FORMS: dict[str, Form] = {
    'pth': Form(('model.pth', 'config.py'), 'mmpretrain, mmamd', _write_pth, _read_pth),
    'safetensors': Form(('model.safetensors',), 'mmpretrain, mmamd, safetensors', _write_safetensors,
                        _read_safetensors),
    'onnx': Form(('model.onnx', PREDICT.name), 'a runtime of ONNX, opset 17', _write_onnx,
                 lambda folder: read_onnx(folder / 'model.onnx'), is_graph=True),
    'onnx-any-size': Form(('model_any_size.onnx',), 'a runtime of ONNX, opset 17', lambda subject, folder: export_onnx(
        subject.small, folder / 'model_any_size.onnx', subject.metadata, any_size=True),
        lambda folder: read_onnx(folder / 'model_any_size.onnx'), prepare=_check_any_size, is_graph=True),
    'torch-export': Form(('model.pt2',), 'torch', _write_torch, lambda folder: read_torch(folder / 'model.pt2')),
    'mmpretrain': Form(('mmpretrain_model.pth', 'mmpretrain_config.py'), 'mmpretrain', _write_mmpretrain,
                       _read_mmpretrain, method='plain_config', prepare=_plain_config),
    'mmseg': Form(('mmseg_model.pth', 'mmseg_config.py'), _needs_of_mmseg, _write_mmseg, _read_mmseg,
                  prepare=_check_mmseg),
    'timm': Form(('timm_model.safetensors', 'timm_model.py'), 'timm>=1.0.31, safetensors', _write_timm, _read_timm,
                 method='timm_form', prepare=_timm_form),
    'int8': _int8('model_int8.onnx', is_static=True),
    'int8-dynamic': _int8('model_int8_dynamic.onnx', is_static=False),
}


def _palette(dataset: dict) -> list[list[int]]:
    from mmseg.registry import DATASETS
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    known = {**DATASETS.get(dataset['type']).METAINFO, **(dataset.get('metainfo') or {})}
    return [list(colour) for colour in known['palette']]


def _host_model(config: Path, weights: Path) -> Function:
    if Config.fromfile(config).get('default_scope') == 'mmseg':
        from mmseg.apis import init_model
        return Logits(init_model(str(config), str(weights), device='cpu'))
    from mmpretrain import get_model
    return Logits(get_model(str(config), pretrained=str(weights)))


def _converted(subject: Subject, name: str, convert: Callable[[], Any]) -> Any:
    """What ``convert`` makes of the subject. Raises ValueError, with the forms that can, if the form cannot be it."""
    backbone = subject.network.backbone
    always = [other for other, form in FORMS.items() if form.method is None and other not in ('mmseg', 'onnx-any-size')]
    try:
        if not hasattr(backbone, FORMS[name].method):
            raise ValueError(f'a {type(backbone).__name__} has no such form')
        return convert()
    except ValueError as error:
        raise ValueError(f'the form {name!r} cannot express candidate {subject.candidate.key}: {error}. '
                         f'Forms that can express every candidate: {", ".join(always)}') from error
