"""What the pipeline reads from a config, checked and in one place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope, Registry

from mmamd.checks import SECTION
from mmamd.distillation.averaging import check_share
from mmamd.distillation.distiller import AMD_LOSSES, AMDDistiller
from mmamd.distillation.losses import build_terms
from mmamd.distillation.sandwich_hook import SandwichSparsityHook
from mmamd.nearest import did_you_mean
from mmamd.pipeline.config.compression import Compression
from mmamd.pipeline.config.host_parts import check_config_parts, check_runtime, check_schedule_parts
from mmamd.pipeline.config.keys import check_config, check_options
from mmamd.pipeline.config.kinds import check_kinds
from mmamd.pipeline.config.vis_backends import check_backends
from mmamd.pipeline.images.overlap import allowed_overlaps
from mmamd.pipeline.inputs import fill_data_root
from mmamd.pipeline.plain import merge, plain
from mmamd.registry import HOOKS, METHODS, MODELS, SEARCHES
from mmamd.selection.npsd_hook import NPSDSelectionHook

PRECISION = ('type', 'loss_scale', 'dtype')  # keys of optim_wrapper that the top level sets for every stage
RUNTIME = ('default_hooks', 'launcher', 'env_cfg', 'log_processor', 'log_level', 'visualizer', 'default_scope',
           'randomness', 'custom_hooks', 'auto_scale_lr', 'optim_wrapper', 'param_scheduler', 'train_cfg',
           'train_dataloader')


@dataclass(frozen=True)
class Settings:
    """What a config says of the method.

    Attributes:
        compression: Candidates.
        method: Which stages there are, and in what order.
        sampler: The hook that samples candidates; None where every step trains all.
        selection: The hook that chooses; None where the config names none.
        allow_overlap: Pairs of splits that may have images in common.
        search: What finds terms of the loss before the first training; None where the config names none.
    """

    compression: Compression
    method: Any
    sampler: SandwichSparsityHook | None
    selection: NPSDSelectionHook | None
    allow_overlap: tuple[str, ...] = ()
    search: Any = None

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'Settings':
        """Read a config; its two hooks and its method are built here and nowhere else.

        Raises:
            ValueError: For a key that is not known, and for what a part of it refuses.
        """
        check_kinds(cfg, {'model': SECTION})
        kind = cfg.get('model', {}).get('type')
        distiller = MODELS.get(kind) if isinstance(kind, str) else kind
        if not (isinstance(distiller, type) and issubclass(distiller, AMDDistiller)):
            raise ValueError(f"MultiStepRunner needs model=dict(type='mmamd.AMDDistiller', ...), got {kind!r}")
        check_config(cfg)
        check_options('model', distiller, plain(cfg.model), hint='')
        if cfg.get('load_from') and not cfg.get('resume'):
            raise ValueError(f'load_from={cfg.load_from!r} is not read by MultiStepRunner; the weights to start from '
                             'are those of model.teacher')
        refuse_sync_bn(cfg)
        for section in ('joint', 'student', 'pretrain', 'teacher'):
            ours = [hook['type'] for hook in (cfg.get(section) or {}).get('custom_hooks') or [] if _is_ours(hook)]
            if ours:
                raise ValueError(f'{section}.custom_hooks has a {ours[0]}, which says how candidates are drawn or '
                                 'chosen; name it in custom_hooks at the top level')
        if 'method' not in cfg:
            raise ValueError("the config has no section 'method'; say which, e.g. method=dict(type='mmamd.AMD')")
        settings = cls(Compression.from_cfg(cfg), _chosen(cfg, 'method', METHODS), _hook(cfg, SandwichSparsityHook),
                       _hook(cfg, NPSDSelectionHook), allowed_overlaps(cfg.get('allow_overlap')),
                       _chosen(cfg, 'search', SEARCHES) if cfg.get('search') else None)
        if settings.search is not None and cfg.get('pretrain'):
            raise ValueError('the config has the sections search and pretrain, and a search trains its students '
                             'without a pretraining; leave one of them out: search=None, or pretrain=None')
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
            check_config_parts(cfg)
            check_backends((cfg.get('visualizer') or {}).get('vis_backends'))
            for section in ('joint', 'student', 'pretrain'):
                _check_training(cfg, section)
        return settings


def _check_training(cfg: Config, section: str) -> None:
    """Refuse, before any data set is read, what the section of a training stage says wrongly."""
    own = cfg.get(section) or {}
    if not own.get('train_cfg'):
        return  # missed where a stage needs it
    settings = section_settings(cfg, section)
    check_runtime(section, settings)
    check_schedule_parts(section, settings)
    _check_preparation(cfg, section)
    if own.get('average') is not None:
        average = own['average']
        if not isinstance(average, dict) or average.keys() != {'share'}:
            raise ValueError(f'{section}.average must be dict(share=...) or None, got {plain(average)!r}; e.g. '
                             f'{section}.average=dict(share=0.1)')
        try:
            check_share(average['share'])
        except ValueError as error:
            raise ValueError(f'{section}.average: {error}') from error


def _check_preparation(cfg: Config, section: str) -> None:
    """Refuse terms that prepare a distillation outside of ``pretrain``, and those that nothing prepares."""
    terms = build_terms(section_losses(cfg, section))
    if section == 'pretrain':
        return
    before = build_terms(section_losses(cfg, 'pretrain')) if cfg.get('pretrain') else {}
    for name, term in terms.items():
        where, kind = f'{section}.losses.{name}', type(term).__name__
        if term.pretrains:
            raise ValueError(f'{where}: this {kind} prepares a distillation; name it in pretrain.losses, beside '
                             f'pretrain.train_cfg, and leave it out here or set {where}.weight=0')
        if term.prepared and not (name in before and before[name].pretrains):
            raise ValueError(f'{where}: this {kind} needs what a term of its name learns before; give the config a '
                             f'section pretrain=dict(train_cfg=dict(max_epochs=...), trains=\'losses\', losses=dict('
                             f'{name}=dict(...))) as its docstring has it, or set {where}.weight=0')


def _chosen(cfg: Config, section: str, registry: Registry) -> Any:
    """The method, or the search, that a section names, built."""
    settings = plain(cfg[section])
    kind = settings.pop('type', None)
    found = registry.get(kind) if isinstance(kind, str) else None
    if found is None:
        known = [f'mmamd.{name}' for name in sorted(registry.module_dict)]
        raise ValueError(f'there is no {section} {kind!r}{did_you_mean(str(kind), known)} Expected one of {known}')
    check_options(section, found, settings)
    return found(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()})


def _is_ours(hook: dict) -> bool:
    return _is_a(SandwichSparsityHook, hook) or _is_a(NPSDSelectionHook, hook)


def _is_a(cls: type[Hook], hook: dict) -> bool:
    return hook.get('type') in (cls.__name__, f'mmamd.{cls.__name__}')


def _hook(cfg: Config, cls: type[Hook]) -> Any:
    """The one hook of a class among ``custom_hooks``, built; None where there is none."""
    found = [plain(hook) for hook in cfg.get('custom_hooks') or [] if _is_a(cls, hook)]
    if len(found) > 1:
        raise ValueError(f'expected one {cls.__name__} in custom_hooks, got {len(found)}')
    for settings in found:
        settings.pop('priority', None)  # of the host's; ours do not depend on it
        check_options(cls.__name__, cls, settings)
        return HOOKS.build({**settings, 'type': f'mmamd.{cls.__name__}'})
    return None


def refuse_sync_bn(cfg: Config) -> None:
    """Raise ValueError for a key that would exchange the batch norms of a candidate."""
    if cfg.get('sync_bn'):
        raise ValueError(f'sync_bn={cfg.sync_bn!r} would exchange the batch norms that run as any candidate for plain '
                         'ones; leave it out: every candidate gets statistics of its own on training images '
                         '(compression.recalibration)')


def section_settings(cfg: Config, section: str) -> ConfigDict:
    """Settings of a training stage: the top level with a section merged over it, without hooks of ours.

    Where the top level's optimizer wrapper is one of mixed precision, as ``--amp`` makes it, so is the section's.
    """
    if not (cfg.get(section) or {}).get('train_cfg'):
        raise ValueError(f"the config has no schedule for the stage '{section}': expected {section} = "
                         'dict(train_cfg=dict(max_epochs=...), param_scheduler=[...]), got '
                         f'{plain(cfg.get(section))!r}')
    # load_from and resume are the run's: a stage starts from what the stage before it made. A length has one unit, so
    # that of a section takes the place of the top level's.
    top = {key: plain(cfg[key]) for key in RUNTIME if key in cfg and key != 'train_cfg'}
    merged = merge(top, {key: value for key, value in plain(cfg[section]).items() if key in RUNTIME})
    if precision := _precision(cfg):
        merged['optim_wrapper'].update(precision)
    if not (merged.get('optim_wrapper') or {}).get('optimizer'):
        raise ValueError(f"stage '{section}' has no optimizer; set optim_wrapper=dict(optimizer=dict(...)) at the top "
                         'level of the config')
    fill_data_root({**merged, 'data_root': cfg.get('data_root')})
    merged['custom_hooks'] = [hook for hook in merged.get('custom_hooks') or [] if not _is_ours(hook)]
    return ConfigDict(merged)


def _precision(cfg: Config) -> dict:
    """Type, loss scale and dtype of the optimizer wrapper, if they are those of mixed precision."""
    wrapper = plain(cfg.get('optim_wrapper') or {})
    if wrapper.get('type', 'OptimWrapper') == 'OptimWrapper':
        return {}
    return {key: wrapper[key] for key in PRECISION if key in wrapper}


def section_losses(cfg: Config, section: str, without: Sequence[str] = ()) -> dict:
    """The terms of a stage: ``model.losses`` with the section's merged over it, less those of some names.

    Raises:
        ValueError: If a name is that of no term, or none of the other terms asks a teacher.
    """
    losses = plain(cfg.model.get('losses') or AMD_LOSSES)
    losses = merge(losses, plain((cfg.get(section) or {}).get('losses') or {}))
    for name in without:
        if name not in losses:
            raise ValueError(f'{section}.losses has no term {name!r}, which the method leaves out at times; expected '
                             f'one of {list(losses)}{did_you_mean(name, losses)}')
    kept = {name: term for name, term in losses.items() if name not in without}
    if without and not any(term.needs_teacher for name, term in build_terms(losses).items() if name in kept):
        raise ValueError(f'without {", ".join(without)}, which the method leaves out at times, no term of '
                         f'{section}.losses asks a teacher, got {list(kept)}; add one that compares hidden states, '
                         f"e.g. {section}.losses.feat.type='mmamd.FeatureLoss'")
    return kept


def teacher_settings(cfg: Config) -> Config:
    """The config that trains the teacher, with what the run sets for all of its stages: data, precision, rate.

    The section ``teacher`` is merged over it.
    """
    teacher = Config.fromfile(cfg.teacher_config)
    teacher.merge_from_dict(plain(cfg.get('teacher') or {}))
    if cfg.get('data_root') is not None:
        teacher.data_root = cfg.data_root
    fill_data_root(teacher)
    if precision := _precision(cfg):
        teacher.optim_wrapper.update(precision)
    if (cfg.get('auto_scale_lr') or {}).get('enable') and teacher.get('auto_scale_lr'):
        teacher.auto_scale_lr.enable = True
    return teacher


def pretrained_sources(cfg: Config) -> list[str]:
    """Where the weights come from that a plain training starts from: ``load_from``, and ``init_cfg`` of the model."""
    def below(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            init = value.get('init_cfg')
            if isinstance(init, dict) and init.get('type') == 'Pretrained':
                yield init['checkpoint']
            for item in value.values():
                yield from below(item)
    return [*([cfg.load_from] if cfg.get('load_from') else []), *below(cfg.model)]


