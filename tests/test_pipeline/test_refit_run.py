"""A run whose candidates are refitted and not trained, from its stages to what it leaves."""

import json
import shutil

import pytest
import torch
from mmengine.registry import DATASETS, DefaultScope

import mmamd
from mmamd.methods import AMD, KD
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.context import Context
from mmamd.pipeline.finished_run import load_candidate
from mmamd.pipeline.replay import redo_command, replay_stage, write_replay
from mmamd.pipeline.stages.refit import steps_of
from mmamd.pipeline.stages.stage import field_digests
from mmamd.pipeline.status import format_status
from mmamd.pruning.refit import refit
from mmamd.structures import Selection
from mmamd.tasks import task_of
from mmamd.visualization.refit_plot import Refitted
from mmamd.weights.networks import load_network, read_networks

KINDS = {'score': 'score', 'nest': 'nest', 'refit': 'refit', 'select': 'select', 'refit_final': 'refit',
         'student': 'distil', 'export': 'export'}


@pytest.fixture
def copy(refit_run, tmp_path):
    """A copy of the run, to be changed and continued."""
    return shutil.copytree(refit_run[0], tmp_path / 'run')


@pytest.fixture(scope='session')
def kd_run(refit_config, tmp_path_factory):
    """Folder of a run of plain distillation from refit weights, that has judged nothing."""
    work_dir = tmp_path_factory.mktemp('kd') / 'run'
    mmamd.compress(refit_config(**{'method': dict(type='mmamd.KD', _delete_=True),
                                   'compression.refit.num_reported': 0, 'student.train_cfg.max_epochs': 1}),
                   work_dir=work_dir)
    return work_dir


def weights_of(path):
    return torch.load(path, weights_only=True)['state_dict']


def assert_same_weights(path, other):
    ours, theirs = map(weights_of, (path, other))
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


# --- its stages ---

def test_no_stage_trains_but_the_students(refit_run):
    work_dir, summary = refit_run
    assert {name: stage['kind'] for name, stage in summary['stages'].items()} == KINDS
    assert list(summary['stages']) == list(KINDS)
    assert summary['cost']['trainings'] == 1
    assert set(read_networks(work_dir, 'refit')) == {'0.30', '0.50', '0.75'}
    assert set(read_networks(work_dir, 'refit_final')) == {'0.30', 'assistant'}


def test_the_student_starts_from_the_refit_weights(copy, refit_config):
    mmamd.compress(refit_config(**{'optim_wrapper.optimizer.lr': 0., 'start_from': 'student'}), work_dir=copy)
    trained, start = (torch.load(copy / name, weights_only=True)['state_dict'] for name in (
        'student/trained.pth', 'refit_final/0.30.pth'))
    # Nothing was learned; what is not the student's is 0.
    assert all(((trained[name] == value) | (trained[name] == 0)).all() for name, value in start.items())
    assert torch.equal(trained['head.fc.weight'], start['head.fc.weight'])
    refit, cut = (load_network(copy, name).state_dict() for name in ('refit_final@0.30', 'nest'))
    assert not torch.equal(refit['head.fc.weight'], cut['head.fc.weight'])


@pytest.mark.slow
def test_redone_from_the_refit_it_finds_the_same(copy, refit_run, refit_config):
    (copy / 'refit' / '0.50.pth').unlink()
    summary = mmamd.compress(refit_config(start_from='refit'), work_dir=copy)
    assert summary['selections'] == refit_run[1]['selections']
    assert_same_weights(copy / 'refit' / '0.50.pth', refit_run[0] / 'refit' / '0.50.pth')
    assert_same_weights(copy / 'student' / 'student.pth', refit_run[0] / 'student' / 'student.pth')


@pytest.mark.parametrize('num_processes, shares', [(1, [64]), (2, [32, 32]), (5, [16, 12, 12, 12, 12])])
def test_every_process_has_a_share_of_the_images(refit_config, refit_run, tmp_path, monkeypatch, num_processes, shares):
    cfg = refit_config()
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
        stage = AMD(candidates='refit').stages(context)[2]
        found = []
        for rank in range(num_processes):
            monkeypatch.setattr('mmamd.pipeline.stages.refit.get_world_size', lambda: num_processes)
            monkeypatch.setattr('mmamd.pipeline.stages.refit.get_rank', lambda rank=rank: rank)
            found.append(sum(map(len, stage._batches(context, load_network(refit_run[0], 'nest')))))
    assert found == shares


def test_products_are_counted_of_all_processes(refit_run, monkeypatch):
    whole = load_network(refit_run[0], 'nest')
    steps = steps_of(whole, task_of(whole), False)
    alone = refit(steps, {'it': steps}, [torch.randn(8, 3, 8, 8)])['it'].macs
    monkeypatch.setattr('mmamd.pruning.least_squares.dist.all_reduce', lambda sums, op: sums.mul_(3))  # of equal shares
    assert refit(steps, {'it': steps}, [torch.randn(8, 3, 8, 8)])['it'].macs == 3 * alone


# --- its networks ---

@pytest.mark.parametrize('scale, made', [
    (0.75, 'refit@0.75'), ('student', 'student@0.30'), (0.3, 'student@0.30'), ('assistant', 'refit_final@assistant')])
def test_every_candidate_can_be_taken_out_as_the_last_stage_left_it_that_made_it(refit_run, scale, made, digits,
                                                                                 tmp_path):
    images, _ = digits('test')
    expected = load_network(refit_run[0], made)(images)
    _, network, candidate = load_candidate(refit_run[0], scale)
    network.backbone.activate(candidate.kept)
    assert torch.equal(network(images), expected)
    mmamd.export_model(refit_run[0], scale=scale, out=tmp_path)
    weights = weights_of(tmp_path / 'model.pth')
    assert sum(value.numel() for value in weights.values()) == candidate.cost.params  # no unit that is not kept


def test_the_scale_of_the_assistant_is_the_assistant_that_taught(refit_run):
    chosen = refit_run[1]['selections'][0]['chosen']['scale']
    assert load_candidate(refit_run[0], chosen)[2] == load_candidate(refit_run[0], 'assistant')[2]
    with pytest.raises(ValueError, match=r'no network of scale 0.4; expected one of \[0.3, 0.5, 0.75\], .*is 0.5'):
        load_candidate(refit_run[0], 0.4)


# --- another choice ---

@pytest.mark.slow
def test_another_choice_redoes_the_last_refit_and_what_follows(copy, refit_config, contents):
    chosen = Selection.load(copy / 'select' / 'selection.json').winner.scale
    other = {0.5: 0.75, 0.75: 0.5}[chosen]
    found = replay_stage(copy, 'manual', scale=other)
    write_replay(found)
    assert redo_command(found).endswith('--start-from refit_final')
    # The assistant that taught is still that of the earlier choice.
    assert load_candidate(copy, 'assistant')[2].weights == str(copy / 'refit' / f'{other:.2f}.pth')
    with pytest.raises(ValueError, match="'refit_final'.*changed since: network select. Redo it with --start-from "
                                         'refit_final'):
        mmamd.compress(refit_config(), work_dir=copy)
    before = contents(copy / 'refit')
    mmamd.compress(refit_config(start_from='refit_final'), work_dir=copy)
    assert contents(copy / 'refit') == before
    assert read_networks(copy, 'refit_final')['assistant'].scale == other
    assert load_candidate(copy, 'assistant')[2].weights == str(copy / 'refit_final' / 'assistant.pth')


def test_the_cheapest_can_be_replayed_too(refit_run):
    found = replay_stage(refit_run[0], 'npsd_cost')
    assert found.is_same and found.before.rule == 'npsd_cost'


# --- what it says of its networks ---

def test_networks_are_judged_as_they_were_cut_and_as_they_are_refit(refit_run, refit_config):
    work_dir, _ = refit_run
    found = Refitted.load(work_dir / 'refit' / 'refit.json')
    selection = Selection.load(work_dir / 'select' / 'selection.json')
    assert (found.metric, found.num_reported, found.num_images) == ('accuracy/top1', 37, 64)
    assert found.teacher == pytest.approx(selection.reference.value)  # all of the held-out images are fewer than 1000
    for m in selection.measurements:
        assert found.networks[m.key].refit == pytest.approx(m.value)
        whole = load_network(work_dir, 'nest')
        whole.backbone.activate(read_networks(work_dir, 'refit')[m.key].kept)
        assert found.networks[m.key].cut == pytest.approx(accuracy(whole, refit_config()))
        assert all(after < before for before, after in found.networks[m.key].errors.values())


@torch.no_grad()
def accuracy(network, cfg):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(cfg.val_dataloader.dataset)
    task = task_of(network)
    data = task.preprocess(network, task.collate([dataset[i] for i in range(len(dataset))]), training=False)
    labels = task.hard_targets(data['data_samples'])
    return (network(data['inputs']).argmax(dim=1) == labels).float().mean().item()


def test_a_part_of_the_held_out_images_is_drawn_by_the_seed(refit_config, refit_run, tmp_path):
    cfg = refit_config(**{'compression.refit.num_reported': 10})
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
        reported = KD().stages(context)[2].reported
        network = load_network(refit_run[0], 'refit_final@0.30')
        by_seed = [[reported.judge(context, {'it': network}, seed)['it'] for seed in range(6)] for _ in range(2)]
    assert by_seed[0] == by_seed[1] and len(set(by_seed[0])) > 1
    assert all((10 * value) == pytest.approx(round(10 * value), abs=1e-4) for value in by_seed[0])


def test_judging_changes_no_weight_and_can_be_left_out(kd_run, refit_run):
    found = Refitted.load(kd_run / 'refit' / 'refit.json')
    assert (found.metric, found.num_reported, found.teacher, found.networks['0.30'].cut) == (None, 0, None, None)
    assert_same_weights(kd_run / 'refit' / '0.30.pth', refit_run[0] / 'refit_final' / '0.30.pth')


def test_what_judging_takes_is_planned_and_spent(refit_config, refit_run, tmp_path):
    def stage(num_reported):
        cfg = refit_config(**{'compression.refit.num_reported': num_reported})
        context = Context(cfg, Settings.from_cfg(cfg), tmp_path, 0, lambda *_: None)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            return AMD(candidates='refit').stages(context)[2], context

    silent, context = stage(0)
    judging, _ = stage(1000)
    passes = 37 * (1 + 2 * (0.3 + 0.5 + 0.75))  # the teacher once, each network before and after
    assert judging.macs(context) - silent.macs(context) == pytest.approx(passes * context.teacher_cost.macs)
    entry = json.loads((refit_run[0] / 'stages.json').read_text())['stages']['refit']
    assert entry['planned_macs'] == pytest.approx(judging.macs(context))
    found, networks = Refitted.load(refit_run[0] / 'refit' / 'refit.json'), read_networks(refit_run[0], 'refit')
    macs = sum(network.cost.macs for network in networks.values())
    assert entry['macs'] == (64 + 37) * context.teacher_cost.macs + (64 + 2 * 37) * macs + sum(
        network.macs_of_products for network in found.networks.values())
    assert 'reported' in field_digests(judging) and 'reported' not in field_digests(silent)


def test_a_run_that_reports_on_other_images_is_refused(copy, refit_config):
    with pytest.raises(ValueError, match="stage 'refit' that was made from other inputs; changed since: reported"):
        mmamd.compress(refit_config(**{'compression.refit.num_reported': 10}), work_dir=copy)


@pytest.mark.parametrize('value', [-1, 0.5, True, None])
def test_a_number_of_images_that_is_none_is_refused(refit_config, value):
    with pytest.raises(ValueError, match=f'num_reported must be an integer of at least 0, got {value!r}; '):
        Settings.from_cfg(refit_config(**{'compression.refit.num_reported': value}))


def test_a_metric_that_no_evaluator_computes_is_refused_before_anything_runs(refit_config, tmp_path):
    cfg = refit_config(**{'method': dict(type='mmamd.KD', _delete_=True)})
    cfg.custom_hooks[1].metric = 'accuracy/top9'
    with pytest.raises(ValueError, match="by the metric 'accuracy/top9', but val_evaluator computes"):
        mmamd.compress(cfg, work_dir=tmp_path / 'run')


# --- what people see of it ---

def test_the_table_shows_the_scores_that_the_cheapest_was_chosen_by(refit_run):
    work_dir, summary = refit_run
    found = summary['selections'][0]
    assert found['rule'] == 'npsd_cost' and 'npsd_cost' not in found['candidates'][1]['scores']
    chosen = next(c for c in found['candidates'] if c['name'] == found['chosen']['name'])
    printed = mmamd.pipeline.summary.format_summary(summary, [])
    line = next(line for line in printed.splitlines() if line.startswith('chosen'))
    assert printed.splitlines()[1].split()[-2:] == ['npsd', 'test']
    assert f'{100 * chosen["value"]:.2f} +- ' in line and f'{chosen["scores"]["npsd"]:+.4f}' in line


def test_the_status_says_what_each_refit_has_made_good(refit_run, kd_run):
    text = format_status(refit_run[0])
    found = Refitted.load(refit_run[0] / 'refit' / 'refit.json').networks['0.30']
    assert f'refit, held out in percent, cut -> refit: 0.30 {100 * found.cut:.2f} -> {100 * found.refit:.2f}, ' in text
    assert 'refit_final, held out in percent, cut -> refit: 0.30 ' in text and 'chosen: ' in text
    assert [line.split()[0] for line in text.splitlines()[2:9]] == list(KINDS)
    assert 'cut -> refit' not in format_status(kd_run)


def test_the_report_is_that_of_refit_candidates(refit_run, kd_run):
    report = (refit_run[0] / 'report.html').read_text()
    for text in ('id="refit"', 'id="refit_final"', 'student, before distillation', 'weights of its own',
                 'by the rule npsd_cost', 'a small assistant makes every epoch of the student cheaper'):
        assert text in report, text
    assert 'shared weights' not in report
    assert 'id="refit"' in (kd_run / 'report.html').read_text()
