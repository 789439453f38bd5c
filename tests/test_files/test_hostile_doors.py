"""Hostile files at every door through which a run, a tool or a user reads one: each is refused, none runs."""

import json
import shutil

import pytest
import torch
from hostile import KINDS, Touch, plant
from mmengine.registry import DefaultScope
from safetensors.torch import load_file, save_file

import mmamd
from mmamd.backbones.recalibration import load_statistics
from mmamd.distillation.losses.distpro import ProcessLoss
from mmamd.distillation.teacher_cache import TeacherCache
from mmamd.export import load_safetensors
from mmamd.files.checkpoint import read_checkpoint
from mmamd.pipeline.finished_run import load_candidate
from mmamd.pipeline.replay import replay_stage
from mmamd.pipeline.stages.teacher_cache import IDENTITY, cache_folder
from mmamd.pipeline.status import format_status
from mmamd.registry import MODELS
from mmamd.visualization import make_pictures, read_run, write_report
from mmamd.weights.origin import Origin, read_origin

REFUSED = 'holds pathlib.Path, which is not read'
CHANGED = 'holds pathlib.Path, and a stage leaves tensors and plain values alone.*--start-from '


@pytest.fixture
def marker(tmp_path):
    """The file that would be there if anything had run."""
    path = tmp_path / 'marker'
    yield path
    assert not path.exists()


def handed_over(work_dir, copy):
    """A copy of a run without what it noted of its files: whoever plants one would note the same of it."""
    shutil.copytree(work_dir, copy)
    state = json.loads((copy / 'stages.json').read_text())
    for stage in state['stages'].values():
        del stage['outputs']
    (copy / 'stages.json').write_text(json.dumps(state))
    return copy


@pytest.fixture
def run(finished_run, tmp_path):
    return handed_over(finished_run[0], tmp_path / 'run')


def unfinish(work_dir, *stages):
    state = json.loads((work_dir / 'stages.json').read_text())
    for stage in stages:
        state['stages'].pop(stage)
    (work_dir / 'stages.json').write_text(json.dumps(state))


def interrupt(work_dir, stage, *later):
    unfinish(work_dir, *later)
    state = json.loads((work_dir / 'stages.json').read_text())
    state['stages'][stage]['finished'] = False
    (work_dir / 'stages.json').write_text(json.dumps(state))


# --- a teacher ---

@pytest.mark.parametrize('kind', KINDS)
def test_as_the_teacher(kind, marker, tiny_config, tmp_path):
    plant(tmp_path / 'teacher.pth', marker, kind)
    with pytest.raises(ValueError, match='teacher.pth holds .*which is not read'):
        mmamd.compress(tiny_config(**{'model.teacher': str(tmp_path / 'teacher.pth')}), work_dir=tmp_path / 'run')


def test_as_a_file_of_timm(marker, tiny_config, tmp_path):
    plant(tmp_path / 'timm.pth', marker)
    with pytest.raises(ValueError, match='cannot read weights from .*timm.pth'):
        mmamd.compress(tiny_config(**{'model.teacher': f'timm:VisionTransformer@{tmp_path / "timm.pth"}'}),
                       work_dir=tmp_path / 'run')


def test_as_what_a_teacher_is_trained_from(marker, tiny_config, tmp_path):
    plant(tmp_path / 'start.pth', marker)
    base = tiny_config().teacher_config
    (tmp_path / 'own_teacher.py').write_text(f'_base_ = [{base!r}]\nload_from = {str(tmp_path / "start.pth")!r}\n')
    with pytest.raises(ValueError, match=f'start.pth {REFUSED}'):
        mmamd.compress(tiny_config(**{'model.teacher': None, 'teacher_config': str(tmp_path / 'own_teacher.py')}),
                       work_dir=tmp_path / 'run')


def test_as_what_a_backbone_is_initialised_from(marker, tiny_config, tmp_path):
    plant(tmp_path / 'start.pth', marker)
    model = tiny_config().model.architecture.to_dict()
    model['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=str(tmp_path / 'start.pth'), prefix='backbone.')
    with DefaultScope.overwrite_default_scope('mmpretrain'), pytest.raises(ValueError, match=f'start.pth {REFUSED}'):
        MODELS.build(model).init_weights()


def test_as_the_text_of_a_config_in_a_teacher(marker, teacher, tmp_path):
    text = f'model = open({str(marker)!r}, "w")\nopen({str(marker)!r}, "w")\n'
    torch.save({**torch.load(teacher), 'meta': {'cfg': text}}, tmp_path / 'teacher.pth')
    assert read_origin(str(tmp_path / 'teacher.pth')) == Origin()


@pytest.mark.parametrize('kind', ['zip', 'pickle'])
def test_as_the_process_that_a_term_replays(kind, marker, tmp_path):
    plant(tmp_path / 'process.json', marker, kind)
    with pytest.raises(ValueError, match='process.json is no JSON'):
        ProcessLoss(file=str(tmp_path / 'process.json'))


# --- what stages have left ---

def test_as_the_checkpoint_that_a_stage_resumes(marker, run, tiny_config):
    interrupt(run, 'student', 'export')
    plant(run / 'student' / 'epoch_3.pth', marker)
    with pytest.raises(ValueError, match=f'epoch_3.pth {REFUSED}'):
        mmamd.compress(tiny_config(), work_dir=run)


def test_as_the_text_of_a_config_in_the_checkpoint_that_a_stage_resumes(marker, run, tiny_config, finished_run):
    interrupt(run, 'student', 'export')
    found = read_checkpoint(run / 'student' / 'epoch_3.pth')
    found['meta']['config'] = f'open({str(marker)!r}, "w")\n'
    torch.save(found, run / 'student' / 'epoch_3.pth')
    assert mmamd.compress(tiny_config(), work_dir=run)['student']['value'] == finished_run[1]['student']['value']


def test_as_the_shared_network(marker, run, tiny_config):
    plant(run / 'joint' / 'shared.pth', marker)
    with pytest.raises(ValueError, match=f'joint/shared.pth {CHANGED}joint'):
        mmamd.compress(tiny_config(start_from='select', trust_checkpoints=True), work_dir=run)
    with pytest.raises(ValueError, match=f'joint/shared.pth {CHANGED}joint'):
        mmamd.export_model(run, scale=0.5)


def test_as_a_refit_network(marker, refit_run, refit_config, tmp_path):
    run = handed_over(refit_run[0], tmp_path / 'run')
    plant(run / 'refit' / '0.50.pth', marker)
    with pytest.raises(ValueError, match=f'refit/0.50.pth {CHANGED}refit'):
        mmamd.compress(refit_config(start_from='select'), work_dir=run)


def test_as_the_student(marker, run):
    plant(run / 'student' / 'student.pth', marker)
    with pytest.raises(ValueError, match=f'student/student.pth {CHANGED}export'):
        mmamd.load_student(run)


def test_as_the_terms_of_an_earlier_stage(marker, make_distiller, tmp_path):
    plant(tmp_path / 'terms.pth', marker)
    with pytest.raises(ValueError, match=f'terms.pth {REFUSED}'):
        make_distiller(terms_from=str(tmp_path / 'terms.pth'))


def test_as_statistics(marker, tmp_path):
    plant(tmp_path / 'statistics.pth', marker)
    with pytest.raises(ValueError, match=f'statistics.pth {REFUSED}'):
        load_statistics(tmp_path / 'statistics.pth')


def test_as_a_teacher_cache(marker, tmp_path):
    caches = tmp_path / 'teacher_cache'
    folder = cache_folder(caches, {'teacher': 1})
    plant(folder / IDENTITY, marker, 'pickle')
    with pytest.raises(ValueError, match=f'{IDENTITY} is no JSON .*delete the folder {folder}'):
        cache_folder(caches, {'teacher': 1})
    plant(folder / 'view_0.bin', marker, 'pickle')
    cache = TeacherCache(folder, num_images=4, num_classes=3, top_k=None)
    assert cache.missing() == [0, 1, 2, 3]


# --- configs of a work_dir ---

READERS = {
    'status': format_status,
    'visualise': lambda run: write_report(read_run(run), run / 'report.html') or make_pictures(read_run(run)),
    'export_model': lambda run: mmamd.export_model(run, scale=0.5),
    'replay': lambda run: replay_stage(run, 'best'),
    'load_student': mmamd.load_student}


@pytest.mark.parametrize('reader', READERS.values(), ids=READERS)
def test_as_the_configs_that_a_run_has_left_for_people(reader, marker, run):
    configs = [run / 'run_config.py', run / 'student' / 'config.py', *run.rglob('*_settings.py')]
    assert len(configs) > 4
    for path in configs:
        path.write_text(f'open({str(marker)!r}, "w")\n')
    assert reader(run)


def test_a_run_of_before_is_told_how_it_gets_a_config_that_is_data(run, tiny_config):
    (run / 'run_config.json').unlink()
    for reader in (READERS[name] for name in READERS if name != 'status'):  # which reads no config
        with pytest.raises(FileNotFoundError, match="give its command again, which writes it and skips what is"):
            reader(run)
    mmamd.compress(tiny_config(), work_dir=run)
    for reader in READERS.values():
        assert reader(run)


def test_as_a_key_that_is_code_once_the_host_writes_it_into_a_config(marker, run):
    # MMEngine writes {'a b': 1} as dict({'a b': 1}), with the key as it is between the quotes.
    config = json.loads((run / 'run_config.json').read_text())
    config['test_cfg'] = {f"a': open({str(marker)!r}, 'w'), 'b": 1}
    (run / 'run_config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match='run_config.json is no JSON .the key .* is no name'):
        mmamd.export_model(run, scale=0.5)


def test_as_a_text_in_which_the_host_would_substitute_a_variable(marker, run):
    # What is substituted would take a quote with it, so that the first text would end where the second one begins.
    config = json.loads((run / 'run_config.json').read_text())
    config['test_cfg'] = {'a': '"{{$NO_SUCH_VARIABLE:x\'}}', 'b': f', b=open("{marker}", "w"))  # '}
    (run / 'run_config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match='expected a text without {{'):
        mmamd.export_model(run, scale=0.5)


# --- types of networks ---

def command(marker):
    return {'type': 'os.system', 'command': f'touch {marker}'}


def rename(path, marker, change):
    content = json.loads(path.read_text())
    for network in content.values():
        change(network['architecture'], command(marker))
    path.write_text(json.dumps(content))


CHANGES = {'the model': lambda model, call: (model.clear(), model.update(call)),
           'a part': lambda model, call: model.update(head=call),
           'the preprocessor': lambda model, call: model.update(data_preprocessor=call)}


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_as_the_type_of_a_network_that_a_stage_has_left(change, marker, run, tiny_config):
    for stage in ('joint', 'export'):
        rename(run / stage / 'networks.json', marker, change)
    for read in (lambda: load_candidate(run, 0.5), lambda: mmamd.load_student(run),
                 lambda: mmamd.compress(tiny_config(start_from='select'), work_dir=run)):
        with pytest.raises(ValueError, match="type='os.system' is no registered component, and files name no other"):
            read()


def test_as_the_type_of_a_backbone_that_a_run_has_delivered(marker, run):
    rename(run / 'export' / 'networks.json', marker, lambda model, call: model.update(backbone=call))
    with pytest.raises(ValueError, match="type='os.system' is no registered component"):
        MODELS.build(dict(type='mmamd.CompressedBackbone', run=str(run)))


def test_as_the_type_in_a_safetensors_file(marker, run):
    path = run / 'student' / 'student.safetensors'
    save_file(load_file(path), path, {'model': json.dumps(command(marker))})
    with pytest.raises(ValueError, match="type='os.system' is no registered component"):
        load_safetensors(path)


def test_a_config_of_the_users_may_name_what_can_be_imported(tiny_config, tmp_path):
    from mmamd import compat
    from mmamd.pipeline.plain import types_in
    model = dict(type='torch.nn.modules.linear.Linear', in_features=2, out_features=3)
    with compat.registered_types_only(types_in([{'model': [model]}])):
        assert MODELS.build(dict(model)).out_features == 3
        with pytest.raises(ValueError, match='no registered component'), compat.registered_types_only():
            MODELS.build(dict(model))
        assert MODELS.build(dict(model)).out_features == 3


def test_the_marker_would_be_there_if_a_file_had_run(tmp_path):
    plant(tmp_path / 'a.pth', tmp_path / 'marker', payload=Touch)
    torch.load(tmp_path / 'a.pth', weights_only=False)
    assert (tmp_path / 'marker').exists()
