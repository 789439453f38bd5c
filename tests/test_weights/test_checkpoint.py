"""Weights from wherever they are, and a clear word when they do not fit."""

import argparse
import logging
import re
import sys

import pytest
import timm
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader, load_checkpoint
from safetensors.torch import save_file

from mmamd.backbones.timm_vit import architecture_of_model, from_timm
from mmamd.registry import MODELS
from mmamd.weights import checkpoint, sources
from mmamd.weights.checkpoint import check_start, load_weights, read_weights, warn_of_normalisation
from mmamd.weights.sources import local_file

# A timm ViT-Tiny of one block: 192 wide, 3 heads; 4 x 4 patches.
SMALL = dict(depth=1, img_size=16, patch_size=4, num_classes=5)


@pytest.fixture
def checkpoint_of(network_settings, tmp_path):
    """Function (classes, layers) -> checkpoint of such a network."""

    def make(classes=3, layers=2):
        arch = dict(network_settings['backbone']['arch'], num_layers=layers)
        network = MODELS.build(dict(network_settings, backbone=dict(network_settings['backbone'], arch=arch),
                                    head=dict(network_settings['head'], num_classes=classes)))
        torch.save(dict(state_dict=network.state_dict(), meta={}), tmp_path / 'teacher.pth')
        return str(tmp_path / 'teacher.pth')

    return make


@pytest.fixture
def network(network_settings):
    return MODELS.build(network_settings)


def test_weights_of_the_same_network_are_loaded(network, checkpoint_of):
    source = checkpoint_of()
    load_weights(network, source)
    saved = torch.load(source)['state_dict']
    assert all(torch.equal(value, saved[key]) for key, value in network.state_dict().items())


def test_a_training_checkpoint_of_the_distiller_is_read_as_the_network_it_trained(make_distiller, network, tmp_path):
    distiller = make_distiller()
    torch.save(dict(state_dict=distiller.state_dict(), optimizer={}), tmp_path / 'epoch_1.pth')
    load_weights(network, str(tmp_path / 'epoch_1.pth'))
    trained = distiller.network.state_dict()
    assert all(torch.equal(value, trained[key]) for key, value in network.state_dict().items())


def test_safetensors_are_read_as_any_file(network, checkpoint_of, tmp_path):
    saved = torch.load(checkpoint_of())['state_dict']
    save_file(saved, tmp_path / "a teacher's.safetensors")
    load_weights(network, str(tmp_path / "a teacher's.safetensors"))
    assert all(torch.equal(value, saved[key]) for key, value in network.state_dict().items())


@pytest.fixture
def downloads(monkeypatch):
    """URLs that the host's loader is asked for, in place of which it reads an empty checkpoint."""
    asked = []

    def load_from_nowhere(url, map_location=None):
        asked.append(url)
        return {}

    monkeypatch.setitem(CheckpointLoader._schemes, 'https://', load_from_nowhere)
    return asked


def test_a_name_of_the_model_zoo_is_read_from_its_url(downloads):
    read_weights('deit-tiny_4xb256_in1k')
    assert len(downloads) == 1 and downloads[0].endswith('.pth') and 'deit-tiny' in downloads[0]


def test_a_file_named_like_a_model_of_the_zoo_is_read_as_the_file(checkpoint_of, tmp_path, monkeypatch, downloads):
    torch.save(torch.load(checkpoint_of()), tmp_path / 'deit-tiny_4xb256_in1k')
    monkeypatch.chdir(tmp_path)
    assert 'head.fc.weight' in read_weights('deit-tiny_4xb256_in1k') and not downloads


@pytest.mark.parametrize('source, near', [
    ('work_dirs/nowhere/teacher.pth', '.'), ('teacher.pth', '.'),
    ('deit-tiny_4xb256_in1', '. Did you mean deit-tiny_4xb256_in1k, .* or .*\\?'),
    ('vit_small_patch16_224', '. Did you mean timm:vit_small_patch16_224\\?')])
def test_a_missing_checkpoint_is_named_with_what_to_do(network, source, near):
    with pytest.raises(FileNotFoundError, match=f"no weights at '{source}'{near} Expected a file, a URL, "
                                                ".* the name of a model of MMPretrain's zoo .* with a config of "
                                                'configs/teacher/, and named by model.teacher'):
        load_weights(network, source)


def test_a_model_of_the_zoo_without_weights_is_refused(network):
    with pytest.raises(FileNotFoundError, match="zoo has no weights of 'vit-base-p16_mae-300e-pre_8xb128-coslr"):
        load_weights(network, 'vit-base-p16_mae-300e-pre_8xb128-coslr-100e_in1k')


def test_what_cannot_be_downloaded_is_named_with_the_alternative(monkeypatch):
    def load_without_network(url, map_location=None):
        raise OSError('Name or service not known')

    monkeypatch.setitem(CheckpointLoader._schemes, 'https://', load_without_network)
    for source in ('https://nowhere/teacher.pth', 'deit-tiny_4xb256_in1k'):
        with pytest.raises(FileNotFoundError, match='cannot download https://.*.pth: Name or .* give the path of the'):
            read_weights(source)


def test_another_number_of_classes_is_named_first(network, checkpoint_of):
    source = checkpoint_of(classes=5)
    with pytest.raises(ValueError, match=rf'{source} does not fit the network: head.fc.weight is \(5, 8\) in the '
                                         r'checkpoint and \(3, 8\) in the network; .*number of classes\), or give'):
        load_weights(network, source)


def test_a_deeper_network_is_named_by_what_is_unexpected(network, checkpoint_of):
    # A block has 12 parameters; three are named.
    with pytest.raises(ValueError, match=r'backbone.layers.2.ln1.weight is unexpected; .* \(and 9 more\). Expected a '
                                         r'checkpoint of exactly this network; make model.architecture .* \(depth'):
        load_weights(network, checkpoint_of(layers=3))


def test_a_shallower_network_is_named_by_what_is_missing(network, checkpoint_of):
    with pytest.raises(ValueError, match=r'backbone.layers.1.ln1.weight is missing from the checkpoint; .*9 more'):
        load_weights(network, checkpoint_of(layers=1))


def test_the_distiller_refuses_a_teacher_of_another_network(make_distiller, checkpoint_of):
    with pytest.raises(ValueError, match='does not fit the network: head.fc.weight'):
        make_distiller(teacher=checkpoint_of(classes=5))


# --- timm ---

@pytest.fixture(scope='module')
def timm_model():
    torch.manual_seed(0)
    return timm.create_model('vit_tiny_patch16_224', **SMALL).eval()


@pytest.fixture
def timm_network(timm_model):
    """Function that builds the network of the timm model, with other weights and some of its settings replaced."""
    def build(head=None, **backbone):
        architecture = architecture_of_model(timm_model)
        architecture['backbone'] |= backbone
        architecture['head'] |= head or {}
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            return MODELS.build(architecture).eval()

    return build


@pytest.fixture
def timm_file(timm_model, tmp_path):
    """Source of a file with the timm model's weights."""
    torch.save(timm_model.state_dict(), tmp_path / 'timm.pth')
    return f'timm:vit_tiny_patch16_224@{tmp_path}/timm.pth'


@torch.no_grad()
def assert_is(network, timm_model):
    image = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = timm_model(image)
    assert (network(image) - expected).abs().max() <= 1e-5 * expected.abs().max()


def other_weights(state):
    return {key: torch.zeros_like(value) for key, value in state.items()}


@pytest.mark.parametrize('wrap', [
    lambda state: state,
    lambda state: dict(model=state, epoch=3),
    lambda state: dict(state_dict=state, arch='vit_tiny_patch16_224', args=argparse.Namespace(lr=0.1)),
    lambda state: dict(state_dict={f'module.{key}': value for key, value in state.items()}),
    lambda state: dict(state_dict=other_weights(state), state_dict_ema=state),
], ids=['alone', 'model', 'train.py', 'DistributedDataParallel', 'averaged'])
def test_a_file_of_a_timm_model_is_read_however_it_is_wrapped(timm_model, timm_network, tmp_path, wrap):
    torch.save(wrap(timm_model.state_dict()), tmp_path / 'best @ epoch 3.pth')
    network = timm_network()
    load_weights(network, f'timm:vit_tiny_patch16_224@{tmp_path}/best @ epoch 3.pth')
    assert_is(network, timm_model)


@pytest.mark.parametrize('name', ['vit_tiny_patch16_224.augreg_in21k_ft_in1k', 'VisionTransformer'])
def test_a_safetensors_file_of_a_timm_model_is_read(timm_model, timm_network, tmp_path, name):
    save_file(timm_model.state_dict(), tmp_path / 'model.safetensors')
    network = timm_network()
    load_weights(network, f'timm:{name}@{tmp_path}/model.safetensors')
    assert_is(network, timm_model)


@pytest.fixture
def hub(monkeypatch):
    """Function that sets what timm's download of pretrained weights does."""
    create = timm.create_model

    def answer_with(download):
        monkeypatch.setattr(timm, 'create_model', lambda name, pretrained=False, **kwargs: (
            download(name) if pretrained else create(name, pretrained=False, **kwargs)))

    return answer_with


def test_pretrained_weights_of_timm_are_downloaded_by_timm(hub):
    torch.manual_seed(0)
    pretrained = timm.create_model('deit_tiny_patch16_224')
    hub(lambda name: pretrained)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(architecture_of_model(pretrained))
    load_weights(network, 'timm:deit_tiny_patch16_224')
    expected = from_timm(pretrained.state_dict())
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


def test_a_failed_download_names_the_model_and_a_file_instead(hub):
    def fail(name):
        raise RuntimeError('Name or service not known.')

    hub(fail)
    with pytest.raises(FileNotFoundError, match="cannot download the weights of timm's deit_tiny_patch16_224: Name or "
                                                'service not known. .* the path of the file: timm:deit_tiny_patch16_2'
                                                '24@FILE'):
        read_weights('timm:deit_tiny_patch16_224')


def test_nothing_is_downloaded_for_a_network_that_it_would_not_fit(hub, timm_network):
    hub(lambda name: pytest.fail(f'{name} was downloaded'))
    with pytest.raises(ValueError, match=r'head.layers.head.weight is \(1000, 192\) in the checkpoint and \(5, 192\) .*'
                                         r"timm's vit_tiny_patch16_224 is architecture=.*'num_heads': 3.* for other "
                                         'classes fine-tune it first'):
        load_weights(timm_network(), 'timm:vit_tiny_patch16_224')


@pytest.mark.parametrize('rank, order', [(0, ['download', 'barrier']), (1, ['barrier', 'download'])])
@pytest.mark.parametrize('works', [True, False])
def test_the_first_rank_downloads_before_the_others_and_never_leaves_them_waiting(hub, monkeypatch, rank, order, works):
    done, model = [], timm.create_model('deit_tiny_patch16_224', depth=1)

    def download(name):
        done.append('download')
        if not works:
            raise OSError('no network')
        return model

    hub(download)
    monkeypatch.setattr(sources, 'get_rank', lambda: rank)
    monkeypatch.setattr(sources, 'barrier', lambda: done.append('barrier'))
    if works:
        read_weights('timm:deit_tiny_patch16_224')
    else:
        with pytest.raises(FileNotFoundError):
            read_weights('timm:deit_tiny_patch16_224')
    assert done == order


@pytest.mark.parametrize('source, error, match', [
    ('timm:vit_tiny_patch16_22', ValueError, "no model 'vit_tiny_patch16_22'. Did you mean vit_tiny_patch16_224"),
    ('timm:swin_tiny_patch4_window7_224', ValueError, 'because of: another family, timm.models.swin_transformer'),
    ('timm:vit_tiny_patch16_224@nowhere.pth', FileNotFoundError, "names the file 'nowhere.pth', which is not there"),
    ('timm:vit_tiny_patch16_224@', FileNotFoundError, "names the file '', which is not there"),
    ('timm:VisionTransformer', FileNotFoundError, 'expected timm:VisionTransformer@FILE, or the name of a model'),
    ('timm:vit_base_patch16_224_miil.nil', ValueError, 'has no weights tagged'),
    ('timm:vit_gigantic_patch14_224', FileNotFoundError, 'no pretrained weights of vit_gigantic_patch14_224; expected '
                                                         'timm:vit_gigantic_patch14_224@FILE')])
def test_a_timm_source_that_cannot_be_is_refused_before_the_network_is_asked(hub, source, error, match):
    hub(lambda name: pytest.fail(f'{name} was downloaded'))
    with pytest.raises(error, match=match):
        read_weights(source)


def test_without_timm_its_sources_say_how_to_install_it(monkeypatch, timm_file):
    monkeypatch.setitem(sys.modules, 'timm', None)
    for source in (timm_file, 'timm:vit_tiny_patch16_224'):
        with pytest.raises(ImportError, match=r"pip install 'mmamd\[timm\]'"):
            read_weights(source)
    # A bare name, which might have been timm's, is still answered.
    with pytest.raises(FileNotFoundError, match="no weights at 'vit_tiny_patch16_224'"):
        read_weights('vit_tiny_patch16_224')


def test_a_number_of_heads_that_the_weights_do_not_show_is_compared(timm_network, timm_file):
    arch = dict(embed_dims=192, num_layers=1, num_heads=6, feedforward_channels=768)
    with pytest.raises(ValueError, match='num_heads is 3 in the checkpoint and 6 in the network'):
        load_weights(timm_network(arch=arch), timm_file)
    # Of a model without a name nothing is known.
    load_weights(timm_network(arch=arch), timm_file.replace('vit_tiny_patch16_224', 'VisionTransformer'))


def test_another_eps_is_compared(timm_network, timm_file):
    with pytest.raises(ValueError, match='eps of its norms is 1e-06 in the checkpoint and 1e-05 in the network'):
        load_weights(timm_network(norm_cfg=dict(type='LN', eps=1e-5)), timm_file)


def test_a_file_of_another_width_than_its_name_is_refused(timm_file):
    with pytest.raises(ValueError, match='holds a network of width 192, but vit_small_patch16_224 has 384; give the '
                                         'name .*or timm:VisionTransformer@FILE'):
        read_weights(timm_file.replace('vit_tiny', 'vit_small'))


def test_a_checkpoint_of_mmpretrain_under_timms_prefix_is_told_apart(checkpoint_of):
    source = checkpoint_of()
    with pytest.raises(ValueError, match=rf"{source}: .*It is a checkpoint of MMPretrain: give its path without "
                                         "'timm:vit_tiny_patch16_224@'"):
        read_weights(f'timm:vit_tiny_patch16_224@{source}')


@pytest.mark.parametrize('wrap', [lambda state: state, lambda state: dict(model=state, epoch=3)])
def test_a_checkpoint_of_timm_without_the_prefix_is_told_apart(timm_model, timm_network, tmp_path, wrap):
    torch.save(wrap(timm_model.state_dict()), tmp_path / 'timm.pth')
    with pytest.raises(ValueError, match=f'Its names are those of timm: .* give timm:NAME@{tmp_path}/timm.pth'):
        load_weights(timm_network(), str(tmp_path / 'timm.pth'))


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    for name, content in (('text.pth', b'not a checkpoint'), ('text.safetensors', b'nor this')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f'cannot read weights from .*{name}: .*save one by torch.save'):
            read_weights(f'timm:vit_tiny_patch16_224@{tmp_path / name}')


def test_a_pickled_model_is_refused_and_not_run(timm_model, tmp_path):
    torch.save(timm_model, tmp_path / 'model.pth')
    with pytest.raises(ValueError, match=r'cannot read weights .*torch.save\(model.state_dict\(\), FILE\)'):
        read_weights(f'timm:vit_tiny_patch16_224@{tmp_path}/model.pth')


def test_the_file_of_a_source_is_known(timm_file, tmp_path):
    assert local_file(timm_file) == local_file(str(tmp_path / 'timm.pth')) == tmp_path / 'timm.pth'
    for source in ('timm:vit_tiny_patch16_224', 'deit-tiny_4xb256_in1k', 'https://nowhere/teacher.pth',
                   str(tmp_path / 'none.pth')):
        assert local_file(source) is None


# --- fine-tuning from timm's weights ---

def test_a_backbone_starts_from_timm_with_a_new_head_and_image_size(timm_model, timm_network, timm_file):
    start = dict(type='Pretrained', checkpoint=timm_file, prefix='backbone.')
    network = timm_network(head=dict(num_classes=9), img_size=24, init_cfg=start)
    check_start(network, timm_file)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network.init_weights()
    expected = from_timm(timm_model.state_dict())
    resized = 'backbone.pos_embed'
    assert network.backbone.pos_embed.shape == (1, 1 + 6 * 6, 192)
    # The class token's embedding has no place to be resized over.
    assert torch.equal(network.backbone.pos_embed[:, 0], expected[resized][:, 0])
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items()
               if key.startswith('backbone.') and key != resized)
    assert network.head.layers.head.weight.shape == (9, 192)


def test_load_from_of_the_host_takes_the_same_sources(timm_model, timm_network, timm_file):
    network = timm_network()
    load_checkpoint(network, timm_file)
    assert_is(network, timm_model)
    # Of other classes, only the backbone.
    network = timm_network(head=dict(num_classes=9))
    load_checkpoint(network, timm_file)
    assert torch.equal(network.backbone.pos_embed, timm_model.pos_embed)


def test_load_from_of_the_host_takes_keys_of_the_zoo(downloads):
    assert CheckpointLoader.load_checkpoint('deit-tiny_4xb256_in1k') == {} and len(downloads) == 1


def test_a_backbone_that_would_start_from_nothing_is_refused_without_a_download(hub, timm_network):
    hub(lambda name: pytest.fail(f'{name} was downloaded'))
    with pytest.raises(ValueError, match=r'the backbone cannot start from timm:vit_small_patch16_224: .*cls_token is '
                                         r"\(1, 1, 384\) in the checkpoint and \(1, 1, 192\) .*architecture=.*'embed"):
        check_start(timm_network(), 'timm:vit_small_patch16_224')
    arch = dict(embed_dims=192, num_layers=12, num_heads=12, feedforward_channels=768)
    with pytest.raises(ValueError, match='cannot start from .*: num_heads is 3 in the checkpoint and 12 in the net'):
        check_start(timm_network(arch=arch, patch_size=16, img_size=32), 'timm:vit_tiny_patch16_224')


def test_a_start_that_is_not_there_is_refused(network, tmp_path):
    with pytest.raises(FileNotFoundError, match='no.pth'):
        check_start(network, str(tmp_path / 'no.pth'))
    check_start(network, 'https://nowhere/teacher.pth')  # cannot be known before it is asked


# --- normalisation ---

@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(checkpoint, 'notice', lambda text, level: said.append((level, text)))
    return said


IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def test_images_normalised_as_the_timm_model_expects_are_not_warned_of(warnings):
    warn_of_normalisation(IMAGENET, 'timm:deit_tiny_patch16_224')
    warn_of_normalisation(dict(mean=[127.5], std=[127.5]), 'timm:vit_tiny_patch16_224@file.pth')
    # Nothing is known of these.
    warn_of_normalisation(IMAGENET, 'timm:VisionTransformer@file.pth')
    warn_of_normalisation(IMAGENET, 'teacher.pth')
    assert not warnings


@pytest.mark.parametrize('preprocessor, ours', [(IMAGENET, r'\[123.675, .*, std=\[58.395'), (None, 'None, std=None')])
def test_images_normalised_otherwise_are_warned_of_with_both(warnings, preprocessor, ours):
    warn_of_normalisation(preprocessor, 'timm:vit_tiny_patch16_224')
    (level, text), = warnings
    assert level == logging.WARNING
    assert re.search(rf'with mean=\[127.5, 127.5, 127.5\], .*but data_preprocessor has mean={ours}', text)
