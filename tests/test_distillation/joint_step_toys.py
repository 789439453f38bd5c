"""What the tests of the joint step share, two-process ones included: a loop, and the formula written out."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader, Dataset

from mmamd.distillation import JointTrainLoop


def raw_batch(part=slice(None)):
    """Part of four raw images, 0 to 255, and their places and labels 0, 2, 1, 2, as a loader hands them over."""
    images_N3HW = torch.randint(0, 256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    # Made anew every time: the preprocessor writes mixed labels into the samples it is given.
    samples = [DataSample(metainfo=dict(sample_idx=place)).set_gt_label(label)
               for place, label in enumerate((0, 2, 1, 2))]
    return dict(inputs=list(images_N3HW)[part], data_samples=samples[part])


class RawImages(Dataset):
    """The items of :func:`raw_batch`."""

    metainfo: dict = {}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {key: values[index] for key, values in raw_batch().items()}


def joint_loop(model, **optimizer):
    """A loop whose runner has what a joint step asks of it: the model and its optimizer wrapper."""
    sgd = torch.optim.SGD(model.parameters(), **{'lr': 0.1, **optimizer})
    runner = SimpleNamespace(model=model, optim_wrapper=OptimWrapper(sgd), visualizer=SimpleNamespace())
    return JointTrainLoop(runner, DataLoader(RawImages()), max_epochs=1)


TYPES = {'ce': 'TaskLoss', 'logit': 'LogitLoss', 'feat': 'FeatureLoss', 'dkd': 'DKDLoss'}


def terms(options=None, **weights):
    """Section ``losses`` of terms by their weights; ``options`` name -> further settings of it."""
    return {name: dict(type=f'mmamd.{TYPES[name]}', weight=weight, **(options or {}).get(name, {}))
            for name, weight in weights.items()}


def teachers_for(name, settings):
    """The teacher, as often as a term wants networks that teach."""
    return [settings['teacher']] * (2 if name == 'DGKDLoss' else 1)


def gradients_at_each_step(loop):
    """List that grows by the gradients (name -> tensor) that every optimizer step is given."""
    collected, model = [], loop.runner.model

    def collect(*_):
        collected.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})

    loop.runner.optim_wrapper.optimizer.register_step_pre_hook(collect)
    return collected


def states_and_logits(network, images):
    """Hidden states (the embedding, then each block) and logits, through the host's own forward pass."""
    states = []
    handles = [module.register_forward_hook(lambda _module, _inputs, output: states.append(output))
               for module in network.backbone.hidden_state_modules]
    logits = network(images, mode='tensor')
    for handle in handles:
        handle.remove()
    return states, logits


def loss_terms(distiller, candidate, batch, temperature=1.):
    """L_ce, L_logit, L_feat and TCKD of a candidate, written out with torch's own functions."""
    images = (torch.stack(batch['inputs']).float() - 100) / 50  # the preprocessor's mean and std
    labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
    distiller.network.backbone.activate(candidate.kept)
    states, logits = states_and_logits(distiller.network, images)
    with torch.no_grad():
        teacher_states, teacher_logits = states_and_logits(distiller.teacher, images)
    student_log = (logits / temperature).log_softmax(1)
    teacher = (teacher_logits / temperature).softmax(1)
    target = F.one_hot(labels, 3).bool()
    student_target, teacher_target = student_log.exp()[target], teacher[target]
    return dict(
        ce=F.cross_entropy(logits, labels),
        logit=temperature**2 * F.kl_div(student_log, teacher, reduction='batchmean'),
        feat=sum(F.mse_loss(a, b) for a, b in zip(states, teacher_states, strict=True)) / len(states),
        dkd=temperature**2 * (teacher_target * (teacher_target / student_target).log() + (1 - teacher_target) * (
            (1 - teacher_target) / (1 - student_target)).log()).mean())


def gradients_of(loss, module):
    names, parameters = zip(*((name, p) for name, p in module.named_parameters() if p.requires_grad), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g
            for name, p, g in zip(names, parameters, found, strict=True)}


def assert_same_gradients(actual, expected):
    assert set(actual) == set(expected)
    assert any(gradient.any() for gradient in expected.values())
    for name, gradient in expected.items():
        assert torch.allclose(actual[name], gradient, rtol=1e-4, atol=1e-6), name
