"""Where weights can be read from, beside what MMEngine's CheckpointLoader knows: files of torch.save, and URLs.

    vit-base-p16_..._in1k              a key of MMPretrain's model zoo
    teacher.safetensors                a file, in MMPretrain's names
    timm:vit_small_patch16_224         timm's pretrained weights, which timm downloads into the cache of Hugging Face
    timm:vit_small_patch16_224@FILE    a file of such a model (.pth, .pt, .safetensors), as timm or torch.save wrote it
    timm:VisionTransformer@FILE        a file of a timm VisionTransformer that has no name, for its sizes are its own

They are registered with the host's loader, so that ``load_from`` and ``init_cfg=dict(type='Pretrained',
checkpoint=..., prefix='backbone.')`` of a config that fine-tunes a teacher take them as ``model.teacher`` does. Under
``HF_HUB_OFFLINE=1`` the cache is read without asking the network.
"""

from pathlib import Path

from mmengine.dist import barrier, get_rank
from mmengine.runner import CheckpointLoader
from torch import Tensor

from mmamd.backbones.timm_vit import (
    architecture_of_model,
    build_empty,
    from_timm,
    import_timm,
    normalisation_of,
)
from mmamd.files.checkpoint import read_tensors
from mmamd.nearest import did_you_mean
from mmamd.notices import notice

NAMELESS = 'VisionTransformer'  # stands for the name of a timm model built with sizes of its own
_KEY = r'(?:[\w-]|\.\d)+$'  # a key of the zoo has no dot but that of a number: regnetx-1.6gf_8xb128_in1k
_ALTERNATIVE = 'Where there is no network, copy the weights here by other means and give the path of the file'


def split_timm(source: str) -> tuple[str, str | None] | None:
    """Name and file (None: timm's own weights) of ``timm:NAME`` and ``timm:NAME@FILE``; None for other sources."""
    if not source.startswith('timm:'):
        return None
    name, _, file = source.removeprefix('timm:').partition('@')
    return name, file if '@' in source else None


def local_file(source: str) -> Path | None:
    """The file on this machine that a source is read from, if there is one."""
    timm = split_timm(source)
    path = source if timm is None else timm[1]
    file = Path(path).expanduser() if path else None
    return file if file is not None and file.is_file() else None


def check_source(source: str) -> None:
    """Check what can be known of a source without reading it or asking the network.

    Raises:
        FileNotFoundError: If there is no such file, key or pretrained timm model.
        ValueError: If a timm name is unknown, or of a network that MMPretrain's VisionTransformer cannot be.
        ImportError: If timm is asked for and not installed.
    """
    timm = split_timm(source)
    if timm is not None:
        _check_timm(source, *timm)
    elif '://' not in source and local_file(source) is None:
        _check_key(source)


def fetch(source: str, map_location: str = 'cpu') -> dict:
    """Checkpoint of a source by the host's loader; a collective call where it downloads.

    Raises:
        FileNotFoundError: Also if it cannot be downloaded, with what to do instead.
        ValueError, ImportError: As :func:`check_source`, or if a file is not what its name says.
    """
    check_source(source)
    try:
        return CheckpointLoader.load_checkpoint(source, map_location=map_location, logger='silent')
    except FileNotFoundError:
        raise
    except OSError as error:
        if local_file(source) is not None:
            raise
        raise FileNotFoundError(f'cannot download {source}: {error}. {_ALTERNATIVE}') from error


# --- the loaders, registered with the host ---

@CheckpointLoader.register_scheme(prefixes='timm:', force=True)
def load_from_timm(filename: str, map_location: str | None = None) -> dict:
    """Weights of a timm model under MMPretrain's names, on the CPU; of a training checkpoint, the averaged ones.

    timm reads them, without unpickling anything but tensors and plain values.
    """
    check_source(filename)
    name, file = split_timm(filename)
    state = from_timm(_downloaded(name)) if file is None else _of_file(name, file)
    notice(f'{filename}: {len(state)} tensors of a timm VisionTransformer. {_expectation(name)}')
    return dict(state_dict=state, meta={})


@CheckpointLoader.register_scheme(prefixes=r'(?!\w+:).*\.safetensors$', force=True)
def load_from_safetensors(filename: str, map_location: str | None = None) -> dict:
    """Weights of a safetensors file, in MMPretrain's names."""
    return dict(state_dict=read_tensors(Path(filename).expanduser(), str(map_location or 'cpu'))[0], meta={})


@CheckpointLoader.register_scheme(prefixes=_KEY, force=True)
def load_from_mmpretrain(filename: str, map_location: str | None = None) -> dict:
    """Checkpoint of a key of MMPretrain's model zoo, or of a local file that is named like one."""
    if local_file(filename) is not None:
        return CheckpointLoader.load_checkpoint(f'./{filename}', map_location, logger='silent')
    from mmpretrain.apis import ModelHub
    check_source(filename)
    return fetch(ModelHub.get(filename).weights, map_location or 'cpu')


# --- parts of them ---

def _check_timm(source: str, name: str, file: str | None) -> None:
    if file is not None and local_file(source) is None:
        raise FileNotFoundError(f'{source!r} names the file {file!r}, which is not there; expected timm:NAME@FILE with '
                                'a checkpoint of that timm model')
    if name == NAMELESS:
        if file is None:
            raise FileNotFoundError(f"timm has no pretrained weights of {source!r}; expected timm:{NAMELESS}@FILE, or "
                                    'the name of a model')
        return
    build_empty(name)
    models = import_timm().models
    if file is None and not models.is_model_pretrained(name):
        tagged = [tag for tag in models.get_arch_pretrained_cfgs(name) if models.is_model_pretrained(tag)]
        raise FileNotFoundError(f'timm has no pretrained weights of {name}; expected '
                                f'{f"one of {tagged}, or " if tagged else ""}timm:{name}@FILE with a checkpoint')


def _check_key(source: str) -> None:
    what = f'no weights at {source!r}.'
    if '/' not in source and Path(source).suffix not in ('.pth', '.pt', '.safetensors'):
        from mmpretrain.apis import ModelHub, list_models
        keys = list_models()
        if source.lower() not in keys:
            what = what.removesuffix('.') + did_you_mean(source, _timm_sources(source) or keys)
        elif ModelHub.get(source).weights:
            return
        else:
            what = f"MMPretrain's zoo has no weights of {source!r}."
    raise FileNotFoundError(f"{what} Expected a file, a URL, 'timm:NAME', 'timm:NAME@FILE', or the name of a model of "
                            "MMPretrain's zoo that has weights. A teacher is trained with a config of "
                            'configs/teacher/, and named by model.teacher')


def _timm_sources(name: str) -> list[str]:
    """The source that a timm model's bare name was meant to be."""
    try:
        return [f'timm:{name}'] if import_timm().models.is_model(name) else []
    except ImportError:
        return []


def _downloaded(name: str) -> dict[str, Tensor]:
    """State dict of timm's pretrained model. The first rank downloads, the others find it in timm's cache."""
    if get_rank():
        barrier()
    try:
        return import_timm().create_model(name, pretrained=True).state_dict()
    except Exception as error:  # every hub, and every network library below it, raises errors of its own
        reason = str(error).rstrip('.')
        raise FileNotFoundError(f"cannot download the weights of timm's {name}: {reason}. {_ALTERNATIVE}: "
                                f'timm:{name}@FILE') from error
    finally:
        if not get_rank():
            barrier()


def _of_file(name: str, file: str) -> dict[str, Tensor]:
    try:
        state = import_timm().models.load_state_dict(str(Path(file).expanduser()), weights_only=True)
    except Exception as error:  # a file that is no checkpoint fails in as many ways as there are formats
        raise ValueError(f'cannot read weights from {file}: {error}. Expected a state dict of a timm model, alone or '
                         "under 'state_dict' or 'model'; save one by torch.save(model.state_dict(), FILE)") from error
    try:
        state = from_timm(state)
    except ValueError as error:
        own = any(key.startswith('backbone.') for key in state)
        raise ValueError(f'{file}: {error}' + (f'. It is a checkpoint of MMPretrain: give its path without '
                                               f"'timm:{name}@'" if own else '')) from error
    if name != NAMELESS and 'backbone.cls_token' in state:
        expected, width = build_empty(name).embed_dim, state['backbone.cls_token'].shape[-1]
        if width != expected:
            raise ValueError(f'{file} holds a network of width {width}, but {name} has {expected}; give the name of '
                             f'the model it is, or timm:{NAMELESS}@FILE if it has sizes of its own')
    return state


def _expectation(name: str) -> str:
    if name == NAMELESS:
        return 'Its number of heads and its normalisation of images cannot be known from them'
    mean, std = normalisation_of(name)
    return f"timm's {name} expects RGB images, 0 to 255, normalised with mean={mean}, std={std}"


def timm_architecture(source: str) -> dict | None:
    """Architecture that the name in a timm source stands for; None where there is no such name."""
    timm = split_timm(source)
    return None if timm is None or timm[0] == NAMELESS else architecture_of_model(build_empty(timm[0]))
