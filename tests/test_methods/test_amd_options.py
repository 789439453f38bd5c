"""AMD from refit weights and with a tuned assistant, in the one runner; what they cost, and where they are refused."""

import json
import shutil

import pytest
import torch
from mmengine.registry import DefaultScope

import mmamd
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.finished_run import load_candidate
from mmamd.pipeline.stages.budget import BEYOND, plain_run
from mmamd.weights.networks import build_network, find_network

REFIT = dict(num_images=96, num_images_candidates=48)
SHORT = {'joint.train_cfg.max_epochs': 1, 'student.train_cfg.max_epochs': 1, 'compression.refit': REFIT,
         'visualizer': None}
HOOKS = [dict(type='mmamd.SandwichSparsityHook', sampler='falling', below=0.75),
         dict(type='mmamd.NPSDSelectionHook', rule='npsd', metric='accuracy/top1')]


def planned(cfg, work_dir):
    """The context of a run with its stages, by name."""
    context = Context(cfg, Settings.from_cfg(cfg), work_dir, 0, lambda *_: None)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        context.stages = context.settings.method.stages(context)
    return context, {stage.name: stage for stage in context.stages}


@pytest.fixture(scope='module')
def nested(tiny_config, tmp_path_factory):
    """(work_dir, summary, config) of a run from nested refit weights, with an assistant tuned for an epoch."""
    cfg = tiny_config(**SHORT, **{'method.start': 'nested', 'method.tune_epochs': 1}, custom_hooks=HOOKS)
    work_dir = tmp_path_factory.mktemp('nested') / 'run'
    return work_dir, mmamd.compress(cfg, work_dir=work_dir), cfg


def test_the_run_has_the_stages_and_counts_the_trainings(nested):
    _, summary, _ = nested
    assert list(summary['stages']) == ['score', 'nest', 'refit', 'joint', 'select', 'tune', 'student', 'export']
    assert summary['cost']['trainings'] == 3 and summary['stages']['tune']['kind'] == 'distil'


def test_the_joint_stage_starts_from_one_network_of_which_every_candidate_is_made_good(nested):
    work_dir, _, _ = nested
    networks = json.loads((work_dir / 'refit' / 'networks.json').read_text())
    assert list(networks) == ['1.00'] and networks['1.00']['kept'] is None
    record = json.loads((work_dir / 'refit' / 'refit.json').read_text())
    errors = {key: network['errors'] for key, network in record['networks'].items()}
    assert list(errors) == ['0.30', '0.50', '0.75']
    assert 'head.fc' in errors['0.30'] and 'head.fc' not in errors['0.50']
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        refitted, teacher = (build_network(find_network(work_dir, name)).state_dict() for name in ('refit', 'nest'))
    changed = {name.split('.', 3)[3] for name, value in refitted.items()
               if name.startswith('backbone.layers') and not torch.equal(value, teacher[name])}
    assert changed == {f'{layer}.{part}' for layer in ('attn.proj', 'ffn.layers.1') for part in ('weight', 'bias')}


@pytest.mark.parametrize('stage, teaches, start, trained', [
    ('joint', 'nest/reordered.pth', 'refit/1.00.pth', [0.3, 0.5, 0.75]),
    ('tune', 'nest/reordered.pth', 'joint/shared.pth', None),
    ('student', 'tune/trained.pth', 'joint/shared.pth', [0.3])])
def test_each_training_has_its_teacher_weights_and_candidates(nested, stage, teaches, start, trained, monkeypatch):
    work_dir, _, cfg = nested
    context, stages = planned(cfg, work_dir)
    models = []

    def stopped(_context, _stage, model, *_args, **_kwargs):
        models.append(model)
        raise InterruptedError

    monkeypatch.setattr('mmamd.pipeline.stages.distil.train', stopped)
    with pytest.raises(InterruptedError):
        stages[stage].carry_out(context)
    model, = models
    assert [model['teacher'][0]['weights'], model['start']] == [str(work_dir / teaches), str(work_dir / start)]
    trained = trained or [find_network(work_dir, 'select').scale]
    assert [candidate['scale'] for candidate in model['candidates']] == trained


def test_the_tuned_assistant_is_the_chosen_one_and_is_what_its_scale_names(nested):
    work_dir, _, _ = nested
    chosen, tuned = find_network(work_dir, 'select'), find_network(work_dir, 'tune')
    assert (tuned.scale, tuned.kept, tuned.cost) == (chosen.scale, chosen.kept, chosen.cost)
    assert tuned.weights != chosen.weights
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        before, after = (build_network(each).state_dict() for each in (chosen, tuned))
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    assert load_candidate(work_dir, chosen.scale)[2].weights == tuned.weights


def test_what_the_stages_take_is_what_they_were_planned_to(nested):
    work_dir, summary, cfg = nested
    context, stages = planned(cfg, work_dir)
    spent = summary['stages']
    for name in ('refit', 'joint', 'tune', 'student'):
        # Epochs drop their last images, and candidates lie up to a unit under their scales.
        assert 0.8 * stages[name].macs(context) < spent[name]['macs'] < 1.1 * stages[name].macs(context), name


def test_candidates_made_good_together_are_one_network_too(nested, tiny_config, tmp_path):
    shutil.copytree(nested[0] / 'nest', tmp_path / 'nest')
    context, stages = planned(tiny_config(**SHORT, **{'method.start': 'together'}), tmp_path)
    spent = []
    context.spend = lambda stage, seconds, macs: spent.append((stage, macs))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        stages['refit'].carry_out(context)
    (stage, macs), = spent
    assert stage == 'refit' and 0.8 * stages['refit'].macs(context) < macs < 1.1 * stages['refit'].macs(context)
    assert list(json.loads((tmp_path / 'refit' / 'networks.json').read_text())) == ['1.00']
    record = json.loads((tmp_path / 'refit' / 'refit.json').read_text())
    network, = record['networks'].values()
    assert list(record['networks']) == ['together'] and 'head.fc' in network['errors']


def test_a_rerun_finds_everything_done(nested):
    work_dir, summary, cfg = nested
    before = (work_dir / 'tune' / 'trained.pth').stat().st_mtime_ns
    assert mmamd.compress(cfg, work_dir=work_dir)['student'] == summary['student']
    assert (work_dir / 'tune' / 'trained.pth').stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_tuning_of_refit_candidates_starts_from_the_final_refit(tiny_config, tmp_path):
    cfg = tiny_config(**SHORT, **{'method.candidates': 'refit', 'method.tune_epochs': 1})
    summary = mmamd.compress(cfg, work_dir=tmp_path)
    assert summary['cost']['trainings'] == 2
    chosen, final, tuned = (find_network(tmp_path, name) for name in ('select', 'refit_final@assistant', 'tune'))
    assert tuned.scale == final.scale == chosen.scale and tuned.kept == final.kept == chosen.kept


# --- budgets ---

def test_a_budget_counts_a_tuning_and_leaves_it_its_epochs(tiny_config, tmp_path):
    long = {'joint.train_cfg.max_epochs': 30, 'student.train_cfg.max_epochs': 50, 'compression.budget': 2.}
    epochs = {}
    for tuned in (0, 4):
        context, stages = planned(tiny_config(**long, **{'method.tune_epochs': tuned}), tmp_path / 'nowhere')
        epochs[tuned] = {name: stage.epochs(context) for name, stage in stages.items() if stage.kind == 'distil'}
        total = sum(stage.macs(context) for stage in context.stages if stage.kind not in BEYOND)
        assert total / plain_run(context) == pytest.approx(2., rel=0.03)
    assert epochs[4]['tune'] == 4
    assert epochs[4]['student'] < epochs[0]['student'] and epochs[4]['joint'] <= epochs[0]['joint']


def test_a_tuning_is_planned_by_what_has_been_chosen(tiny_config, tmp_path, nested):
    work_dir, _, cfg = nested
    unknown, known = planned(cfg, tmp_path / 'nowhere'), planned(cfg, work_dir)
    scale = find_network(work_dir, 'select').scale
    assert unknown[0].scale_of('tune') == 0.5, 'half the teacher, as long as nothing is chosen'
    assert unknown[1]['tune'].scales(unknown[0]) == [0.5] and known[1]['tune'].scales(known[0]) == [scale]
    candidate, = known[1]['tune'].candidates(known[0], known[0].family.candidates, 1.)
    assert candidate.scale == scale
