"""A process is searched as a stage of a run, on digits."""

import json

import pytest
from laid_run import stage_named

from mmamd.distillation.losses import build_terms
from mmamd.distillation.losses.distpro import Process, ProcessLoss
from mmamd.search.distpro import stage as stage_file
from mmamd.search.distpro.search_loop import ProcessSearchLoop

SEARCH = dict(type='mmamd.DistProSearch', epochs=2, loss=dict(layers=[1, 2], transform='cnn'),
              replay=dict(threshold=0.1))


def test_a_search_leaves_its_process_and_the_term_that_replays_it(laid):
    context = laid(SEARCH)
    assert [each.name for each in context.stages] == ['score', 'nest', 'search', 'student', 'export']
    stage, student = (stage_named(context, name) for name in ('search', 'student'))
    folder = context.work_dir / 'search'
    stage.check(context)
    student.check(context)
    stage.carry_out(context)
    process = Process.read(folder / 'process.json')
    macs = json.loads((folder / 'pathways.json').read_text())['macs']
    assert list(macs) == [pathway.name for pathway in process.pathways] and min(macs.values()) > 0
    assert stage.trainings(context.work_dir) == 1
    assert process.steps == (0, 8, 16), 'of 134 images in batches of 16, twice'
    assert len(set(process.alphas)) == 3 and process.config_hash
    assert json.loads((folder / 'losses.json').read_text()) == {'process': dict(
        type='mmamd.ProcessLoss', layers=[1, 2], transform='cnn', threshold=0.1, file='process.json')}
    spent = sum(macs for _, _, macs in context.bills)
    assert spent == pytest.approx(stage.macs(context), rel=0.06), 'last batches are dropped'

    term = build_terms(student.model(context)['losses'])['process']
    assert (term.mode, term.process, term.threshold) == ('process', process, 0.1)
    assert student.files()[-1] == 'search/losses.json' and student.losses['process'].keys() == {
        'type', 'layers', 'transform'}


def test_a_search_that_is_cut_goes_on_to_the_same_process(laid, monkeypatch):
    few = {f'{split}_dataloader.dataset.dataset.indices': 100 for split in ('train', 'val')}
    whole, cut = (laid(SEARCH, folder, **few) for folder in ('whole', 'cut'))
    stage_named(whole, 'search').carry_out(whole)
    epoch = ProcessSearchLoop.run_epoch

    def stopped(loop):
        if loop.epoch:
            raise KeyboardInterrupt
        epoch(loop)

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(ProcessSearchLoop, 'run_epoch', stopped)
        stage_named(cut, 'search').carry_out(cut)
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):  # and once more behind its last step
        broken.setattr(stage_file, 'write_found', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        stage_named(cut, 'search').carry_out(cut)
    (cut.work_dir / 'search' / 'process.json').unlink()
    stage_named(cut, 'search').carry_out(cut)
    for name in ('process.json', 'losses.json'):
        assert (whole.work_dir / 'search' / name).read_text() == (cut.work_dir / 'search' / name).read_text()
    assert len(cut.bills) == stage_named(cut, 'search').recipe_epochs, 'an epoch is paid for once'


def test_alphas_follow_training_images_that_are_held_out_of_the_search_alone(laid):
    context = laid(SEARCH | dict(every=4))
    stage, student = (stage_named(context, name) for name in ('search', 'student'))
    train, held = (context.training_dataset(each) for each in (stage.loader, stage.held_out))
    assert len(train) + len(held) == student.images.num == 163
    assert (stage.images.num, stage.held_out_images.num) == (len(train), len(held))
    assert [step.__class__.__name__ for step in held.dataset.dataset.pipeline.transforms] == ['PackInputs'], (
        'not augmented')
    assert isinstance(build_terms(stage.losses)['process'], ProcessLoss) and stage.recipe_epochs == 2


@pytest.mark.parametrize('search, overrides, message', [
    (SEARCH | dict(every=1), {}, 'search.every must be an integer of at least 2, got 1'),
    (SEARCH | dict(loss=dict(mode='equal')), {}, "search.loss.mode='equal' is what the search says itself"),
    (SEARCH | dict(replay=dict(file='a.json')), {}, "search.replay.file='a.json' is what the search says itself"),
    (SEARCH | dict(loss=dict(layers=[9])), {}, 'losses.process: '),
    (SEARCH | dict(replay=dict(treshold=0.5)), {}, "no option 'treshold'"),
    (SEARCH, {'optim_wrapper.optimizer': dict(type='RMSprop', lr=0.1, _delete_=True)}, 'RMSprop')])
def test_a_search_that_cannot_be_is_refused_by_name(laid, search, overrides, message):
    with pytest.raises(ValueError) as caught:
        context = laid(search, **overrides)
        for name in ('search', 'student'):
            stage_named(context, name).check(context)
    assert message in str(caught.value)
