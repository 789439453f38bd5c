"""A search inside MMEngine's own Runner, on digits."""

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.datasets.transforms import PackInputs

from mmamd.datasets import Digits, HoldOut
from mmamd.search.distpro import AlphaUpdate, ProcessSearchLoop
from mmamd.search.distpro.held_out import check_apart, endless

NUM_EPOCHS = 2
LOSSES = {'ce': dict(type='mmamd.TaskLoss'),
          'process': dict(type='mmamd.ProcessLoss', mode='search', layers=[1, 2], transform='cnn')}


def few_digits(part, every=3, num=40):
    return HoldOut(dataset=Digits(indices=num, pipeline=[PackInputs()]), part=part, every=every)


def loader(part, batch_size=8):
    return dict(dataset=few_digits(part), batch_size=batch_size, num_workers=0, drop_last=True,
                sampler=dict(type='DefaultSampler', shuffle=True), collate_fn=dict(type='default_collate'))


@pytest.fixture
def make_runner(settings, make_distiller, network_settings, tmp_path):
    """Function (folder, **options of the loop) -> runner of a search."""
    head = dict(network_settings['head'], num_classes=10)

    def make(folder, resume=False, **options):
        distiller = make_distiller(
            architecture=dict(network_settings, head=head), losses=LOSSES, candidates=settings['candidates'][-1:],
            teacher=None, start=None, data_preprocessor=dict(num_classes=10, mean=[77.8] * 3, std=[95.9] * 3))
        distiller.is_drawn = False  # all runners of a test begin with weights that it copies
        loop = dict(type='mmamd.ProcessSearchLoop', max_epochs=NUM_EPOCHS, held_out=loader('held_out'), **options)
        return Runner(model=distiller, work_dir=str(tmp_path / folder), train_dataloader=loader('train'),
                      default_scope='mmpretrain', train_cfg=loop, randomness=dict(seed=3),
                      optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)), log_level='WARNING',
                      custom_hooks=[dict(type='mmamd.EpochSeedHook', stage='search')],
                      experiment_name=f'{tmp_path.name}_{folder}{resume}', resume=resume)

    return make


def test_a_search_records_what_its_alphas_were_and_goes_on_as_it_would_have(make_runner, monkeypatch):
    whole, cut, resumed = (make_runner(*each, record_every=2) for each in (('a',), ('b',), ('b', True)))
    for each in (cut, resumed):
        each.model.load_state_dict(whole.model.state_dict())
        each.model.teacher.load_state_dict(whole.model.teacher.state_dict())
    whole.train()
    found = whole.train_loop.recorder.process()
    assert found.steps == (0, 2, 4, 6)  # of 30 images in batches of 8, twice
    assert found.alphas[0] == (1., 1., 1.) and len(set(found.alphas)) == 4
    assert found.alphas[-1] == tuple(whole.model.terms['process'].alpha.tolist())

    epoch = ProcessSearchLoop.run_epoch

    def stopped(loop):
        if loop.epoch:
            raise KeyboardInterrupt
        epoch(loop)

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(ProcessSearchLoop, 'run_epoch', stopped)
        cut.train()
    resumed.train()
    assert resumed.train_loop.recorder.process() == found
    for name, each in whole.model.state_dict().items():
        assert torch.equal(each, resumed.model.state_dict()[name]), name


def test_the_alphas_may_be_changed_less_often(make_runner, monkeypatch):
    runner, steps = make_runner('seldom', every=3), []
    update = AlphaUpdate.step
    monkeypatch.setattr(AlphaUpdate, 'step', lambda self, *args: (steps.append(runner.iter), update(self, *args)))
    runner.train()
    assert steps == [0, 3]
    assert runner.train_loop.recorder.process().steps == (0, 3, 6), 'by default a point an epoch'


# --- held-out images ---

def test_images_that_are_trained_on_are_refused_as_held_out_ones():
    check_apart(few_digits('train'), few_digits('held_out'))
    with pytest.raises(ValueError, match='10 of 40 training images are held-out images too, the first the image at'):
        check_apart(Digits(indices=40), few_digits('held_out'))


@pytest.mark.parametrize('wrong, message', [
    (dict(every=0), 'every must be a positive integer, got 0'),
    (dict(record_every=0.5), 'record_every must be a positive integer, got 0.5')])
def test_options_that_cannot_be_are_refused(make_runner, wrong, message):
    with pytest.raises(ValueError, match=message):
        make_runner('wrong', **wrong).train()


def test_an_epoch_is_dealt_the_same_whenever_it_begins_and_each_turn_is_another():
    held_out = Runner.build_dataloader(loader('held_out', batch_size=4), seed=1)

    def dealt(epoch, num=4):
        batches = endless(held_out, epoch)
        return [[sample.sample_idx for sample in next(batches)['data_samples']] for _ in range(num)]

    first, again, other = dealt(0), dealt(0), dealt(1)
    assert first == again != other
    assert first[:2] != first[2:], 'two batches are all there is'


def test_a_loader_without_a_batch_is_refused():
    held_out = Runner.build_dataloader(loader('held_out', batch_size=11), seed=1)
    with pytest.raises(ValueError, match='the held-out loader has no batch of its 10 images; make its batch_size'):
        next(endless(held_out, 0))
