"""Everything that works around a defect of the host, and nothing else.

Each repair looks for the defect it mends (not for a version or a distribution's name), so that a host that has been
mended is left alone. The host is imported by what needs it alone: a command that only reads files imports none of it.
"""

from __future__ import annotations

import difflib
import importlib.abc
import importlib.util
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.dataset import BaseDataset

HOST = 'mmengine'
WAIT = timedelta(hours=2)  # for a rank that works alone: it judges, exports, draws


def apply_on_import(read: Callable[[str, Any], dict], write: Callable[[bytes, str], None]) -> None:
    """Apply all repairs as soon as the host has been imported: now, if it has been. Arguments as for :func:`apply`."""
    if HOST in sys.modules:
        apply(read, write)
    else:
        sys.meta_path.insert(0, _AfterImport(partial(apply, read, write)))


class _AfterImport(importlib.abc.MetaPathFinder):
    """Call a function once the host has been imported, whoever imports it."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != HOST:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            self._call()

        spec.loader.exec_module = exec_module
        return spec


def apply(read: Callable[[str, Any], dict], write: Callable[[bytes, str], None]) -> None:
    """Apply all repairs; harmless when repeated.

    Args:
        read: Reads a checkpoint file, to a device, without running what is in it.
        write: Writes bytes to a file, whole or not at all.
    """
    _let_checkpoints_be_read_as_data(read)
    _let_files_be_written_whole(write)
    _let_every_copy_of_a_data_set_be_its_own()
    _let_a_broken_image_be_named()
    _let_configs_inherit_ours()
    _let_configs_lie_in_any_folder()
    # mmcv-lite says on import that it lacks an operator of detection, which nothing here uses.
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


def _let_checkpoints_be_read_as_data(read: Callable[[str, Any], dict]) -> None:
    """MMEngine reads a file of torch.save as torch's default says, and what it downloads in full, which may run code.

    Since torch 2.6 the default refuses the host's own training checkpoints, which hold MMEngine's HistoryBuffer.
    """
    import torch.hub
    from mmengine.runner import checkpoint as host_checkpoint

    def load_from_local(filename: str, map_location: Any) -> dict:
        return read(filename, map_location)

    def load_url(url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True) -> dict:
        path = Path(model_dir or Path(torch.hub.get_dir(), 'checkpoints'), Path(urlparse(url).path).name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=progress)
        return read(path, map_location)

    host_checkpoint.CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    host_checkpoint.load_url = load_url


def _let_files_be_written_whole(write: Callable[[bytes, str], None]) -> None:
    """MMEngine writes a checkpoint into its place, where a kill or a full disk leaves half of one."""
    from mmengine.fileio.backends import LocalBackend
    if 'replace' not in inspect.getsource(LocalBackend.put):
        LocalBackend.put = lambda self, obj, filepath: write(obj, filepath)


def _let_every_copy_of_a_data_set_be_its_own() -> None:
    """MMEngine's BaseDataset.get_subset shares one deepcopy memo among all copies, as a mutable default argument.

    Keys of a memo are ids, and ids are reused: after a data set is freed, a subset of another may be given its parts.
    """
    from mmengine.dataset import BaseDataset
    copy_of = BaseDataset._copy_without_annotation
    if copy_of.__defaults__ != (None,):
        BaseDataset._copy_without_annotation = lambda self, memo=None: copy_of(self, {} if memo is None else memo)


def _let_a_broken_image_be_named() -> None:
    """What fails while MMEngine's BaseDataset prepares a sample says nothing of the image; often not even its reader.

    Afterwards it is a RuntimeError that names the image, in workers of a loader too.
    """
    from mmengine.dataset import BaseDataset
    prepare = BaseDataset.prepare_data
    if prepare.__module__ == __name__:
        return

    def prepare_data(self: BaseDataset, idx: int) -> Any:
        try:
            return prepare(self, idx)
        except Exception as error:
            name = self.get_data_info(idx).get('img_path') or f'number {idx}'
            cause = f'{type(error).__name__}: {str(error).strip()}'
            raise RuntimeError(f'image {name} of a {type(self).__name__} cannot be read and transformed: {cause}. Mend '
                               'or restore it, or take it out of the data set') from error

    BaseDataset.prepare_data = prepare_data


def _let_configs_inherit_ours() -> None:
    """MMEngine reads ``package::folder/name.py`` for the packages of a table of its own, and for installed ones only.

    Afterwards ``_base_ = 'mmamd::amd/vit-b_cifar100.py'`` and ``mmengine.hub.get_config('mmamd::...')`` know mmamd too,
    from a wheel, an editable install or the source tree. Only once mmamd is imported: a tool that reads the config
    first (MMPretrain's own train.py) has to be told in the config, by an expression that imports mmamd:
    ``_base_ = (__import__('mmamd'), 'mmamd::amd/vit-b_cifar100.py')[1]``.
    """
    from mmengine import hub as host_hub
    from mmengine.config import Config
    if Config._get_cfg_path.__module__ == __name__:
        return
    host_path, host_config = Config._get_cfg_path, host_hub.get_config

    def path_and_scope(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith('mmamd::'):
            # No scope, unlike the host: our configs name their default_scope, in which the host's types are found.
            return str(shipped_config(cfg_path)), None
        return host_path(cfg_path, filename)

    @wraps(host_config)
    def get_config(cfg_path: str, pretrained: bool = False) -> Config:
        if not cfg_path.startswith('mmamd::'):
            return host_config(cfg_path, pretrained)
        if pretrained:
            raise ValueError(f'mmamd publishes no weights, so there are none for {cfg_path!r}; drop pretrained=True')
        return Config.fromfile(shipped_config(cfg_path))

    Config._get_cfg_path = staticmethod(path_and_scope)
    host_hub.get_config = host_hub.hub.get_config = get_config


def _let_configs_lie_in_any_folder() -> None:
    """MMEngine pastes ``{{ fileDirname }}`` into the source of a config as it is: a quote in it ends the string."""
    from mmengine.config import Config
    host = Config._substitute_predefined_vars
    if host.__module__ == __name__:
        return

    def substitute(filename: str, temp_config_name: str) -> None:
        if not filename.endswith('.py') or not {"'", '"'} & set(filename):
            return host(filename, temp_config_name)
        folder, name = os.path.split(filename)
        stem, suffix = os.path.splitext(name)
        values = dict(fileDirname=folder, fileBasename=name, fileBasenameNoExtension=stem, fileExtname=suffix)
        text = re.sub(r'\{\{\s*(' + '|'.join(values) + r')\s*\}\}',
                      lambda found: re.sub('([\'"])', r'\\\1', values[found[1]]), Path(filename).read_text('utf-8'))
        Path(temp_config_name).write_text(text, encoding='utf-8')

    Config._substitute_predefined_vars = staticmethod(substitute)


@contextmanager
def registered_types_only(known: Iterable[str] = ()) -> Iterator[None]:
    """Build nothing but registered components from here on, for configs that were read as data.

    MMEngine takes a type that it does not know for the name of anything that can be imported and called:
    ``dict(type='os.system', command=...)`` is a network to it.

    Args:
        known: Types that may be such names, because the user's own config says them.

    Raises:
        ValueError: For a type that is no registered component.
    """
    from mmengine.registry import registry as host_registry
    from mmengine.utils import get_object_from_string
    before = host_registry.get_object_from_string
    known, refused = set(known), []

    def find(name: str) -> Any:
        if name in known:
            return get_object_from_string(name)
        refused.append(name)
        return None

    host_registry.get_object_from_string = find
    try:
        yield
    except Exception as error:
        if not refused or refused[-1] not in str(error):
            raise
        raise ValueError(f'type={refused[-1]!r} is no registered component, and files name no other; if it is one of '
                         'yours, import the module that registers it first, or name it in custom_imports') from error
    finally:
        host_registry.get_object_from_string = before


def shipped_config(name: str) -> Path:
    """File of a config that comes with mmamd.

    Args:
        name: ``mmamd::FOLDER/NAME.py``; ``.py`` may be left out.

    Raises:
        FileNotFoundError: If there is no such config; names the nearest ones.
    """
    package = Path(__file__).resolve().parent
    # Beside the package in the source tree, inside it in a wheel (see setup.py).
    configs = next((root / 'configs' for root in (package / '.mim', package.parent) if (root / 'configs').is_dir()),
                   None)
    if configs is None:
        raise FileNotFoundError(f'{name!r}: this copy of mmamd, {package}, came without its configs; '
                                'install it from its wheel or run it from its source tree')
    wanted = name.removeprefix('mmamd::').removesuffix('.py')
    shipped = {path.relative_to(configs).with_suffix('').as_posix(): path for path in configs.rglob('*.py')}
    if wanted not in shipped:
        # A name without its folder, or of another folder, is near to each config of that name.
        same_name = [known for known in shipped if Path(known).name == Path(wanted).name]
        nearest = same_name or difflib.get_close_matches(wanted, shipped, n=3) or sorted(
            known for known in shipped if not known.startswith('_base_/'))
        raise FileNotFoundError(f'mmamd has no config {name!r}; did you mean one of '
                                f'{", ".join(f"mmamd::{known}.py" for known in nearest)}?')
    return shipped[wanted]


def init_distributed(launcher: str, dist_cfg: dict | None) -> None:
    """Start the process group once, also on a machine without a GPU.

    MMEngine selects a CUDA device before it starts any backend, so on a CPU-only machine gloo is started here.
    """
    import torch.distributed
    from mmengine.dist import init_dist as host_init_dist
    from mmengine.dist import is_distributed
    if launcher == 'none' or is_distributed():
        return
    if torch.cuda.is_available():
        host_init_dist(launcher, **{'backend': 'nccl', 'timeout': WAIT.total_seconds(), **(dist_cfg or {})})
    elif launcher == 'pytorch':
        torch.distributed.init_process_group('gloo', timeout=WAIT)
    else:
        raise ValueError(f"without a GPU only launcher='pytorch' is supported, got {launcher!r}; "
                         'start the processes with tools/dist_train.sh')


def model_wrapper_cfg() -> dict:
    """DistributedDataParallel settings; MMEngine passes device ids, which gloo on CPU refuses."""
    import torch
    device_ids = [torch.cuda.current_device()] if torch.cuda.is_available() else None
    return dict(type='MMDistributedDataParallel', device_ids=device_ids, broadcast_buffers=False)
