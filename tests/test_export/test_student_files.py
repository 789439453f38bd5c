"""What a user takes home: a config and weights that need nothing of the run."""

import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmpretrain import get_model

from mmamd.export import cut_network, save_student, student_config
from mmamd.structures import Candidate, Cost

PREPROCESSOR = dict(num_classes=5, mean=[10., 20., 30.], std=[50., 60., 70.], to_rgb=False)
ARCHITECTURE = dict(
    type='ImageClassifier',
    backbone=dict(type='mmamd.MaskedViT', img_size=8, patch_size=4,
                  arch=dict(embed_dims=32, num_layers=2, num_heads=4, feedforward_channels=64)),
    head=dict(type='LinearClsHead', num_classes=5, in_channels=32))
STUDENT = Candidate(scale=0.1, cost=Cost(0, 0), units=0.1, kept={
    'layers.0.head': 0, 'layers.0.neuron': 5, 'layers.1.head': 1, 'layers.1.neuron': 0})


@pytest.fixture(scope='module')
def run_config():
    return Config(dict(
        default_scope='mmpretrain', data_preprocessor=PREPROCESSOR,
        model=dict(type='mmamd.AMDDistiller', architecture=ARCHITECTURE, teacher='somewhere/teacher.pth'),
        compression=dict(student=0.1), optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
        joint=dict(train_cfg=dict(max_epochs=1)), custom_hooks=[dict(type='mmamd.SandwichSparsityHook')],
        test_dataloader=dict(batch_size=4, dataset=dict(type='mmamd.Digits', split='test')),
        test_evaluator=dict(type='Accuracy', topk=(1,))))


@pytest.fixture(scope='module')
def network(make_classifier):
    return make_classifier(layers=2, heads=4, head_dims=8, neurons=64)


@pytest.fixture(scope='module')
def exported(run_config, network, tmp_path_factory):
    """The cut model, and the folder of its config and weights."""
    folder = tmp_path_factory.mktemp('student')
    small = cut_network(network, STUDENT)
    student_config(run_config, network, STUDENT).dump(folder / 'config.py')
    save_student(small, folder / 'student.pth')
    return small, folder


def images(num=3):
    return torch.randn(num, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_files_rebuild_the_cut_model(exported):
    small, folder = exported
    rebuilt = get_model(str(folder / 'config.py'), pretrained=str(folder / 'student.pth'))
    assert list(rebuilt.state_dict()) == list(small.state_dict())
    assert all(torch.equal(value, small.state_dict()[key]) for key, value in rebuilt.state_dict().items())
    assert torch.equal(rebuilt(images(), mode='tensor'), small(images(), mode='tensor'))
    assert rebuilt.data_preprocessor.mean.flatten().tolist() == PREPROCESSOR['mean']


def test_the_files_rebuild_the_model_in_a_program_that_knows_mmpretrain_alone(exported, tmp_path):
    small, folder = exported
    program = (f'import torch; from mmpretrain import get_model; '
               f'model = get_model({str(folder / "config.py")!r}, pretrained={str(folder / "student.pth")!r}); '
               'images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)); '
               f'torch.save(model(images, mode="tensor").detach(), {str(tmp_path / "logits.pth")!r})')
    subprocess.run([sys.executable, '-c', program], check=True, cwd=tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / 'logits.pth'), small(images(), mode='tensor'))


def test_the_config_speaks_of_the_student_alone(run_config, network):
    config = student_config(run_config, network, STUDENT)
    assert config.model.type == 'ImageClassifier'
    assert (config.model.backbone.heads, config.model.backbone.neurons) == ([0, 1], [5, 0])
    assert set(config) == {'model', 'default_scope', 'data_preprocessor', 'test_dataloader', 'test_evaluator'}
    assert 'heads' not in run_config.model.architecture.backbone, "the run's own config is left alone"


def test_the_weights_are_plain_tensors_and_really_smaller(exported, network):
    small, folder = exported
    saved = torch.load(folder / 'student.pth', weights_only=True)
    assert set(saved) == {'state_dict', 'meta'}
    # No tensor drags the storage of the larger one along that it was cut from.
    num_params = sum(p.numel() for p in small.parameters())
    assert sum(t.untyped_storage().nbytes() for t in saved['state_dict'].values()) == 4 * num_params
    save_student(network, folder / 'whole.pth')
    ratio = num_params / sum(p.numel() for p in network.parameters())
    assert ratio < 0.3
    assert (folder / 'student.pth').stat().st_size < (folder / 'whole.pth').stat().st_size * (ratio + 0.1)
