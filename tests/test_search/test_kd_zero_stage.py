"""A distiller is searched as a stage of a run, on digits."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from laid_run import QUICK, stage_named
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

import mmamd
from mmamd.distillation.distiller import distiller_of
from mmamd.distillation.genome import Genome
from mmamd.pipeline.stages import Distil, fingerprint
from mmamd.pipeline.status import format_status
from mmamd.search.kd_zero.proxies import Proxies
from mmamd.search.kd_zero.rejection import Rejected
from mmamd.search.kd_zero.stage import KDZeroSearch
from mmamd.visualization import make_pictures, read_run

EVOLUTION = dict(evaluations=4, population=2, parents=1., shrinkage=dict(interval=2))
SEARCH = dict(type='mmamd.KDZeroSearch', proxy_epochs=1, proxy_images=32, num_held_out=20, give_up_after=None,
              evolution=EVOLUTION)
KD = Genome('logits', ('no', 'no', 'no'), 'KL', tau=4.)
EMBEDDED = Genome('embedding', ('no', 'no', 'no'), 'l2')
SP = Genome('feature', ('mm', 'norm_C', 'no'), 'l2', weight=10.)


@HOOKS.register_module(force=True)
class StartHook(Hook):
    """What each training starts from: its student, its random numbers, its first images; and its terms."""

    starts, terms = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter:
            return
        distiller = distiller_of(runner.model)
        content = [*distiller.network.state_dict().values(), torch.get_rng_state(), *data_batch['inputs']]
        self.starts.append(hashlib.sha256(b''.join(each.numpy().tobytes() for each in content)).hexdigest())
        self.terms.append({name: getattr(term, 'genome', None) for name, term in distiller.terms.items()})


@pytest.fixture
def started():
    StartHook.starts, StartHook.terms = [], []
    return StartHook


@pytest.fixture
def proxies(laid):
    """Function from changes of the search, and of the config, to its proxies."""
    def make(folder='run', student=(), **changed):
        context = laid(SEARCH | changed, folder, custom_hooks=[dict(type='StartHook')], **dict(student))
        return Proxies(stage_named(context, 'search'), context)

    return make


def read(context, name):
    return json.loads((context.work_dir / 'search' / name).read_text())


# --- the stage ---

def test_a_killed_search_goes_on_to_the_same_and_the_student_has_what_it_finds(
        laid, tiny_config, finished_run, tmp_path, started, monkeypatch):
    whole = laid(SEARCH | dict(random=True))
    stage = stage_named(whole, 'search')
    assert [each.name for each in whole.stages] == ['score', 'nest', 'search', 'student', 'export']
    stage.check(whole)
    stage.carry_out(whole)
    trials = read(whole, 'trials.json')
    assert [sum(trial['fitness'] is not None and not trial['known'] for trial in each) for each in trials.values()
            ] == [4, 4] and list(trials) == ['evolution', 'random']
    best = min((trial for trial in trials['evolution'] if trial['fitness'] is not None), key=lambda t: t['fitness'])
    assert read(whole, 'losses.json') == {'found': dict(
        type='mmamd.GenomeLoss', genome=best['genome'], layer='last', embedding=['backbone', 'backbone'])}
    assert sum(macs for _, _, macs in whole.bills) == pytest.approx(stage.macs(whole), rel=0.01)
    assert stage.trainings(whole.work_dir) == 8

    evaluate, num = Proxies.evaluate, []

    def dying(proxies, genome):
        num.append(genome)
        if len(num) == 3:
            raise KeyboardInterrupt
        return evaluate(proxies, genome)

    monkeypatch.setattr(Proxies, 'evaluate', dying)
    config = tiny_config(**{key: value for key, value in whole.cfg.items() if key in ('search', 'method')},
                         reuse_stages=[str(finished_run[0])], custom_hooks=[dict(type='StartHook')])
    config.merge_from_dict({**QUICK, 'student.train_cfg.max_epochs': 2})
    with pytest.raises(KeyboardInterrupt):
        mmamd.compress(config, work_dir=tmp_path / 'killed')
    assert not (tmp_path / 'killed' / 'search' / 'losses.json').exists()
    so_far = read_run(tmp_path / 'killed')
    assert len(so_far.searches['search'].evaluated['evolution']) == 2
    assert 'search, distillers: 2 by evolution, the best ' in format_status(tmp_path / 'killed')
    assert 'search' in {picture.kind for picture in make_pictures(so_far)[0]}, 'drawn as far as it is'
    started.terms.clear()
    summary = mmamd.compress(config, work_dir=tmp_path / 'killed')
    for name in ('trials.json', 'generations.json', 'losses.json'):
        assert (tmp_path / 'killed' / 'search' / name).read_text() == (whole.work_dir / 'search' / name).read_text()
    assert str(started.terms[-1]['found']) == best['genome'], 'the last training is that of the student'
    # The process that went on has asked the teacher about the held-out images once more.
    spent = sum(macs for _, _, macs in whole.bills) + whole.bills[0][2]
    assert summary['stages']['search']['macs'] == pytest.approx(spent)
    assert set(summary['stages']) == {'score', 'nest', 'search', 'student', 'export'}
    assert summary['cost']['trainings'] == 8 + 1, 'proxies, and the student'


def test_what_is_found_is_an_input_of_the_trainings_after_it(laid):
    context = laid(SEARCH)
    (context.work_dir / 'search').mkdir()
    student, digests = stage_named(context, 'student'), []
    for genome in (KD, SP):
        content = {'found': dict(type='mmamd.GenomeLoss', genome=str(genome))}
        (context.work_dir / 'search' / 'losses.json').write_text(json.dumps(content))
        digests.append(fingerprint(student, context.work_dir)['file search/losses.json'])
        assert student.model(context)['losses'] == student.losses | content
    assert digests[0] != digests[1]
    assert student.found == 'search/losses.json' and stage_named(context, 'search').found is None


@pytest.mark.parametrize('method, trainings', [
    ({'method': dict(type='mmamd.AMD', candidates='joint')}, ['joint', 'student']),
    ({'method': dict(type='mmamd.AMD', candidates='refit'), 'compression.refit': dict(num_images=32)}, ['student']),
    ({'method': dict(type='mmamd.TAKD', assistants=[0.75, 0.5])}, ['assistant_0.75', 'assistant_0.50', 'student']),
    ({'method': dict(type='mmamd.MMD', assistants=[0.5])}, ['assistant_0.50', 'student_0.50'])])
def test_all_trainings_of_any_method_learn_by_what_is_found_before_them(laid, method, trainings):
    context = laid(SEARCH, **method)
    names = [stage.name for stage in context.stages]
    found = {stage.name: stage.found for stage in context.stages if isinstance(stage, Distil)}
    assert found.pop('search') is None
    assert found == dict.fromkeys(trainings, 'search/losses.json')
    assert all(names.index('search') < names.index(training) for training in trainings)


@pytest.mark.slow
def test_a_share_of_the_epochs_is_trained_or_one_step_of_a_batch(laid):
    def schedule(folder, **changed):
        options = {key: value for key, value in SEARCH.items() if not key.startswith('proxy')}
        stage = stage_named(laid(options | changed, folder, **{'student.train_cfg.max_epochs': 40}), 'search')
        return stage.recipe_epochs, stage.loader.settings['sampler'], stage.images_seen

    usual = dict(type='DefaultSampler', shuffle=True)
    assert schedule('a') == (2, usual, 2 * 163)
    assert schedule('b', proxy_share=0.2, proxy_images=48)[::2] == (8, 8 * 48)
    assert schedule('c', proxy_epochs=3)[0] == 3
    assert schedule('d', proxy_epochs=0)[::2] == (1, 16), 'a single step'


@pytest.mark.parametrize('changed, methods', [
    # Four students see 32 images each and that of the run 2 x 163: four more are cheap, and forty are not.
    ({}, ('evolution', 'random')), (dict(evolution=EVOLUTION | dict(evaluations=40)), ('evolution',)),
    (dict(random=False), ('evolution',)), (dict(evolution=EVOLUTION | dict(evaluations=40), random=True),
                                           ('evolution', 'random')),
    (dict(evolution=EVOLUTION | dict(method='random')), ('random',))])
def test_a_random_search_is_beside_it_where_it_is_cheap_or_asked_for(laid, changed, methods):
    assert stage_named(laid(SEARCH | changed), 'search').methods == methods


def test_runs_that_share_a_store_find_one_population(laid, tmp_path, monkeypatch):
    evaluated = []

    def planted(proxies, genome):
        if evaluated.count(proxies.context.work_dir.name) == 2 and proxies.context.work_dir.name == 'first':
            raise KeyboardInterrupt
        evaluated.append(proxies.context.work_dir.name)
        return {'fitness': genome.tau + len(str(genome))}

    monkeypatch.setattr(Proxies, 'evaluate', planted)
    monkeypatch.setattr('os.fsync', lambda _: None)
    shared = SEARCH | dict(store=f'{tmp_path}/shared.journal', random=False, space=dict(inputs=['logits']))
    first, second = (laid(shared, folder) for folder in ('first', 'second'))
    with pytest.raises(KeyboardInterrupt):
        stage_named(first, 'search').carry_out(first)
    for run in (second, first):
        stage_named(run, 'search').carry_out(run)
    assert evaluated == ['first'] * 2 + ['second'] * 2
    for name in ('trials.json', 'generations.json', 'losses.json'):
        assert read(first, name) == read(second, name)
    stage = stage_named(first, 'search')
    with pytest.raises(ValueError, match='other settings: about.search.num_held_out was .* and is .* now; set it back'):
        replace(stage, search={**stage.search, 'num_held_out': 10}).carry_out(first)


# --- proxies ---

def test_every_student_starts_from_the_same_weights_random_numbers_and_images(proxies, started):
    found = proxies()
    torch.rand(7)
    first, other, again = (found.evaluate(genome) for genome in (KD, SP, KD))
    assert first == again != other
    assert len(started.starts) == 3 and len(set(started.starts)) == 1
    drawn = proxies('drawn', student={'model.losses.feat.weight': 0., 'compression.student_architecture': dict(
        type='ImageClassifier', backbone=dict(type='mmamd.CifarResNet', depth=8),
        neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=10, in_channels=64))})
    for genome in (KD, EMBEDDED):
        torch.rand(7)
        drawn.evaluate(genome)
    assert started.starts[3] == started.starts[4] != started.starts[0], 'also where it is drawn'
    assert set(first) == {'fitness', 'task', 'gap', 'cka'}
    assert first['fitness'] == pytest.approx(first['task'] + first['gap'] + 1 - first['cka'])


@pytest.mark.parametrize('epochs, share, steps', [(1, 0.5, 1), (3, 0.5, 3), (3, 0.6, 4), (4, 0.5, 4)])
def test_a_student_that_is_no_better_than_chance_is_given_up_in_the_middle(proxies, monkeypatch, epochs, share, steps):
    """Of 32 images in batches of 16, also within an epoch."""
    found = proxies(proxy_epochs=epochs, give_up_after=share)
    seen, told = found._seen, []
    monkeypatch.setattr(found, 'tell', told.append)

    def constant(network, *names):
        logits_NC, *others = seen(network, *names)
        return torch.eye(10)[0].expand_as(logits_NC), *others

    monkeypatch.setattr(found, '_seen', constant)
    with pytest.raises(Rejected, match='no better than chance'):
        found.evaluate(KD)
    assert len(told) == steps
    student = found.context.macs_at(found.stage.scales(found.context)[0])
    spent = found.stage.macs_of(found.context, epochs) * steps / (2 * epochs) + found.stage.held_out.num * student
    assert found.context.bills[-1][2] == pytest.approx(spent, rel=0.01), 'what it has taken counts'


@pytest.mark.parametrize('share, steps, expected', [
    (0.5, 30, 15), (0.5, 31, 16), (0.9, 2, None), (0.5, 1, None), (1., 8, None), (None, 8, None)])
def test_a_student_is_judged_once_before_its_end_where_there_is_a_step_before_it(share, steps, expected):
    assert KDZeroSearch(give_up_after=share).step_of_judgement(steps) == expected


def test_a_single_batch_is_judged_at_its_end_alone(proxies):
    assert proxies(proxy_images=16, give_up_after=0.5).stage.judgements == 1


def test_a_trial_that_is_not_given_up_takes_what_is_planned_and_tells_how_far_it_is(proxies, monkeypatch):
    found = proxies(proxy_epochs=4, give_up_after=0.5)
    monkeypatch.setattr(found, 'judge', lambda distiller: {'fitness': 1.})
    shares = []
    monkeypatch.setattr(found, 'tell', shares.append)
    found.evaluate(KD)
    assert found.stage.judgements == 2, 'in the middle and at the end'
    assert found.context.bills[-1][2] == pytest.approx(found.stage.macs_of_trial(found.context), rel=0.01)
    assert shares == [(step + 1) / 8 for step in range(8)], 'of 32 images in batches of 16, four times'


def test_a_training_that_diverges_is_a_reason_against_its_distiller(proxies):
    with pytest.raises(Rejected, match='training diverged'):
        proxies().evaluate(Genome('logits', ('sqrt', 'no', 'no'), 'l2'))


def test_knowledge_is_that_of_a_real_batch_by_what_is_compared(proxies):
    found = proxies()
    knowledge = found.knowledge({what: Genome(what, ('no', 'no', 'no'), 'l2') for what in ('feature', 'embedding')})
    shapes = {name: tuple(value.shape) for name, value in knowledge.student.items()}
    assert shapes == {'logits': (16, 10), 'feature': (16, 32, 2, 2), 'embedding': (16, 32)}
    assert shapes == {name: tuple(value.shape) for name, value in knowledge.teacher.items()}
    assert knowledge.target.shape == (16,) and knowledge.target.dtype == torch.int64


# --- what is refused before anything runs ---

@pytest.mark.parametrize('search, message', [
    (dict(type='mmamd.KDZero'), "there is no search 'mmamd.KDZero'. Did you mean mmamd.KDZeroSearch?"),
    (SEARCH | dict(proxy_shares=0.1), "search has no key 'proxy_shares'. Did you mean proxy_share"),
    (SEARCH | dict(proxy_share=1.5), 'search.proxy_share must be a finite number of at most 1 above 0, got 1.5'),
    (SEARCH | dict(proxy_images=8), 'search.proxy_images=8 is less than a batch; give at least'),
    (SEARCH | dict(evolution=dict(population=1)), 'search.evolution: population must be an integer of at least 2'),
    (SEARCH | dict(evolution=dict(shrinkage=dict(factor=2.))), 'search.evolution.shrinkage: shrinkage must'),
    (SEARCH | dict(space=dict(transforms=['nosuch'])), "search.space: there is no transform 'nosuch'"),
    (SEARCH | dict(fitness=dict(sign='plus')), 'search.fitness.sign must be one of'),
    (SEARCH | dict(layer=('nosuch', 'head')), "losses.found: of the student: ImageClassifier has no module 'nosuch'"),
    (SEARCH | dict(embedding=('nosuch', 'head')), "of the student: ImageClassifier has no module 'nosuch'"),
    (SEARCH | dict(store=3), 'search.store must be a text or None, got 3'),
    (SEARCH | dict(store='sqlite:////nosuch/a.db'), "search.store='sqlite:////nosuch/a.db' is not reached"),
    (SEARCH | dict(term='found_loss'), "losses.found_loss: a term's name must be a word")])
def test_a_search_that_cannot_be_is_refused_by_name(laid, search, message):
    with pytest.raises(ValueError) as caught:
        context = laid(search)
        stage_named(context, 'search').check(context)
    assert message in str(caught.value)


def test_a_search_beside_a_pretraining_is_refused(laid):
    with pytest.raises(ValueError, match='sections search and pretrain.* search=None, or pretrain=None'):
        laid(SEARCH, pretrain=dict(train_cfg=dict(max_epochs=1)))


def test_options_are_plain_data_and_come_back_from_it(laid):
    stage = stage_named(laid(SEARCH | dict(space=dict(inputs=['logits'], taus=[1., 4.]))), 'search')
    assert stage.options == KDZeroSearch(**stage.search)
    assert stage.options.space.inputs in (('logits',), ['logits'])
