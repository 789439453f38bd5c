"""Every form is the function of the sliced network, needs only what it says, is as small as its units, or is refused.

Shapes: N samples, K classes.
"""

import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmpretrain import get_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mmamd.backbones import MaskedViT
from mmamd.export import (
    FORMS,
    cut_network,
    export_candidate,
    format_exported,
    load_safetensors,
    plain_config,
    plain_weights,
)
from mmamd.export.logits import TOLERANCE, sliced
from mmamd.structures import Candidate, Cost

PROJECT = Path(__file__).resolve().parents[2]
SMALL = dict(layers=2, heads=3, neurons=7)
ALWAYS = ['pth', 'safetensors', 'onnx', 'torch-export']
OPTIONS = [dict(), dict(qkv_bias=False), dict(layer_scale_init_value=0.1), dict(pre_norm=True), dict(final_norm=False),
           dict(out_type='avg_featmap'), dict(out_type='avg_featmap', with_cls_token=False),
           dict(norm_cfg=dict(type='LN', eps=1e-3))]
SWIGLU = dict(layer_cfgs=dict(ffn_type='swiglu_fused', feedforward_channels=36))  # 24 neurons


def candidate(*heads_and_neurons):
    """Candidate that keeps (heads, neurons) of each block in turn."""
    kept = {f'layers.{i}.{kind}': count for i, counts in enumerate(heads_and_neurons)
            for kind, count in zip(('head', 'neuron'), counts, strict=True)}
    return Candidate(scale=0.5, kept=kept, cost=Cost(11, 13), units=0.5)


PRUNED = candidate((2, 4), (1, 5))
EMPTY_BRANCHES = candidate((0, 4), (2, 0))
NO_UNITS = candidate((0, 0), (0, 0))
NEURONS_ONLY = candidate((3, 4), (3, 0))


def images(num=3):
    return torch.randn(num, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def assert_same_logits(actual_NK, expected_NK):
    assert actual_NK.shape == expected_NK.shape
    assert (actual_NK - expected_NK).abs().max() <= TOLERANCE * expected_NK.abs().max()


def expected_logits(network, small):
    with torch.no_grad():
        return sliced(network, small)(images())


# --- one function ---

@pytest.mark.parametrize('small', [PRUNED, EMPTY_BRANCHES, NO_UNITS], ids=['pruned', 'empty branches', 'no units'])
def test_every_form_is_the_function_of_the_sliced_network(make_run, tmp_path, small):
    config, network = make_run(**SMALL)
    written = export_candidate(config, network, small, [*ALWAYS, 'timm'], tmp_path / 'out')
    assert [form.form for form in written] == [*ALWAYS, 'timm']
    for form in written:
        assert 0 <= form.difference <= TOLERANCE
        assert form.files == {tmp_path / 'out' / name: (tmp_path / 'out' / name).stat().st_size
                              for name in FORMS[form.form].files}
        with torch.no_grad():
            assert_same_logits(FORMS[form.form].read(tmp_path / 'out')(images()), expected_logits(network, small))


@pytest.mark.parametrize('options', [
    *OPTIONS, SWIGLU, dict(num_registers=2),
    dict(num_registers=1, out_type='avg_featmap', with_cls_token=False)], ids=str)
def test_the_timm_form_is_the_function_for_every_option_of_the_backbone(make_run, tmp_path, options):
    config, network = make_run(**SMALL, **options)
    written, = export_candidate(config, network, EMPTY_BRANCHES, ['timm'], tmp_path)
    assert written.difference <= TOLERANCE


@pytest.mark.parametrize('options', [*OPTIONS, dict(layer_cfgs=dict(act_cfg=dict(type='ReLU'))),
                                     dict(layer_cfgs=[dict(drop_rate=0.1), dict(act_cfg=dict(type='ReLU'))])], ids=str)
def test_the_plain_config_is_the_function_when_neurons_alone_were_pruned(make_run, tmp_path, options):
    config, network = make_run(**SMALL, **options)
    written, = export_candidate(config, network, NEURONS_ONLY, ['mmpretrain'], tmp_path)
    assert written.difference <= TOLERANCE


def test_the_plain_config_has_what_neurons_of_a_swiglu_the_host_can_have(make_run, tmp_path):
    config, network = make_run(**SMALL, **SWIGLU)
    small = candidate((3, 16), (3, 8))
    written, = export_candidate(config, network, small, ['mmpretrain'], tmp_path)
    assert written.difference <= TOLERANCE
    assert plain_config(config, network, small).model.backbone.layer_cfgs[0] == dict(
        ffn_type='swiglu_fused', feedforward_channels=24)


def test_the_shared_network_runs_as_before_after_an_export(make_run, tmp_path):
    config, network = make_run(**SMALL)
    before = network(images(), mode='tensor')
    export_candidate(config, network, PRUNED, ['pth', 'timm'], tmp_path)
    assert torch.equal(network(images(), mode='tensor'), before)


def test_a_form_that_computes_something_else_is_refused_and_leaves_no_file(make_run, tmp_path, monkeypatch):
    config, network = make_run(**SMALL)
    read = FORMS['safetensors'].read
    off = dataclasses.replace(FORMS['safetensors'], read=lambda folder: lambda x: read(folder)(x) * (1 + 1e-3))
    monkeypatch.setitem(FORMS, 'safetensors', off)
    with pytest.raises(RuntimeError, match="'safetensors' of candidate 0.50 differs .* 1.0e-03 of .*; do not deploy"):
        export_candidate(config, network, PRUNED, ['pth', 'safetensors'], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


# --- what each form needs ---

def run_without(modules, program, folder):
    """Run a program in ``folder`` in which some modules cannot be imported."""
    block = f'import sys; sys.modules.update(dict.fromkeys({modules!r})); import torch\n'
    read = 'images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))\n'
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', block + read + program], cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_neuron_only_student_is_a_plain_config_that_needs_no_mmamd(make_run, tmp_path):
    config, network = make_run(**SMALL)
    config.test_dataloader.dataset.type = 'mmamd.Digits'  # which is left out, or the host would look for it
    export_candidate(config, network, NEURONS_ONLY, ['mmpretrain'], tmp_path)
    run_without(['mmamd'], """
from mmpretrain import get_model
model = get_model('mmpretrain_config.py', pretrained='mmpretrain_model.pth')
assert type(model.backbone).__module__.startswith('mmpretrain.')
torch.save(model(images, mode='tensor').detach(), 'logits.pth')
""", tmp_path)
    assert_same_logits(torch.load(tmp_path / 'logits.pth'), expected_logits(network, NEURONS_ONLY))


def test_the_other_forms_need_nothing_of_openmmlab(make_run, tmp_path):
    config, network = make_run(**SMALL)
    export_candidate(config, network, EMPTY_BRANCHES, ['torch-export', 'onnx', 'timm'], tmp_path)
    run_without(['mmamd', 'mmpretrain', 'mmengine', 'mmcv'], """
import onnxruntime
from timm_model import load
exported = torch.export.load('model.pt2').module()
session = onnxruntime.InferenceSession('model.onnx')
with torch.no_grad():
    torch.save([exported(images), exported(images[:1]), load()(images),
                torch.from_numpy(session.run(None, {'images': images.numpy()})[0])], 'logits.pth')
""", tmp_path)
    exported_NK, one_1K, timm_NK, onnx_NK = torch.load(tmp_path / 'logits.pth')
    expected_NK = expected_logits(network, EMPTY_BRANCHES)
    for actual_NK in (exported_NK, timm_NK, onnx_NK):
        assert_same_logits(actual_NK, expected_NK)
    assert_same_logits(one_1K, expected_NK[:1])


def test_the_plain_config_keeps_what_it_can_be_tested_with_and_leaves_the_held_out_images(make_run):
    config, network = make_run(**SMALL)
    plain = plain_config(config, network, NEURONS_ONLY)
    assert set(plain) == {'default_scope', 'data_preprocessor', 'model', 'test_dataloader', 'test_evaluator',
                          'test_cfg'}
    assert plain.model.backbone.type == 'VisionTransformer'
    assert [layer.feedforward_channels for layer in plain.model.backbone.layer_cfgs] == [4, 0]
    assert config.model.architecture.backbone.type == 'mmamd.MaskedViT', "the run's own config is left alone"


def test_the_plain_model_trains_on_where_a_block_has_no_neurons(make_run):
    config, network = make_run(**SMALL)
    plain = plain_config(config, network, NEURONS_ONLY)
    model = get_model(plain)
    model.init_weights()  # the host's Runner calls it
    model.load_state_dict(plain_weights(plain, network, cut_network(network, NEURONS_ONLY)))
    model.train()(images(), mode='tensor').sum().backward()
    assert model.backbone.layers[1].ffn.layers[1].bias.grad.abs().min() > 0


def test_the_timm_form_is_a_timm_model_that_trains_on(make_run, tmp_path):
    from timm.models.vision_transformer import VisionTransformer
    config, network = make_run(**SMALL, layer_scale_init_value=0.1)
    export_candidate(config, network, EMPTY_BRANCHES, ['timm'], tmp_path)
    model = FORMS['timm'].read(tmp_path)
    assert isinstance(model, VisionTransformer)
    assert model.forward_features(images()).shape == (3, 5, 6)
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in network.parameters())
    model.train()(images()).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.blocks[0].attn.bias.grad.abs().min() > 0
    assert json.loads(model.metadata['data_preprocessor'])['mean'] == [10., 20., 30.]


# --- sizes ---

NOT_OF_A_VIT = {'mmseg', 'onnx-any-size'}  # classifier


@pytest.mark.parametrize('name', [name for name, form in FORMS.items() if form.is_exact and name not in NOT_OF_A_VIT])
def test_a_file_shrinks_by_the_bytes_of_the_weights_that_were_removed(make_run, tmp_path, name):
    config, network = make_run(layers=2, heads=4, head_dims=16, neurons=256)
    heads = 4 if name == 'mmpretrain' else 1
    sizes = []
    for label, kept in (('whole', candidate((4, 256), (4, 256))), ('small', candidate((heads, 16), (heads, 8)))):
        written, = export_candidate(config, network, kept, [name], tmp_path / label)
        params = network.backbone.cost(kept.kept).params + 5 * 64 + 5  # and the head's
        sizes.append((next(iter(written.files.values())), 4 * params))
    (whole, whole_weights), (small, small_weights) = sizes
    assert whole - small == pytest.approx(whole_weights - small_weights, rel=0.02)
    # Names, shapes and the graph come on top, whatever the widths: less than 50 kB a block.
    assert 0 < small - small_weights < 100_000


# --- what the files say, and what they do not ---

def test_safetensors_hold_the_tensors_of_the_pth_bit_for_bit(make_run, tmp_path):
    config, network = make_run(**SMALL)
    export_candidate(config, network, EMPTY_BRANCHES, ['pth', 'safetensors'], tmp_path)
    pth = torch.load(tmp_path / 'model.pth', weights_only=True)['state_dict']
    tensors = load_file(tmp_path / 'model.safetensors')
    assert tensors.keys() == pth.keys()
    assert all(torch.equal(tensors[key], pth[key]) and tensors[key].dtype == pth[key].dtype for key in pth)


def test_safetensors_alone_rebuild_the_model(make_run, tmp_path):
    config, network = make_run(**SMALL, patch_cfg=dict(bias=False))
    export_candidate(config, network, EMPTY_BRANCHES, ['safetensors'], tmp_path)
    model = load_safetensors(tmp_path / 'model.safetensors')
    assert not model.training
    with torch.no_grad():
        assert_same_logits(model(images(), mode='tensor'), expected_logits(network, EMPTY_BRANCHES))
    assert model.data_preprocessor.mean.flatten().tolist() == [10., 20., 30.]


def test_safetensors_of_something_else_are_refused(tmp_path):
    save_file({'weight': torch.zeros(1)}, tmp_path / 'other.safetensors')
    with pytest.raises(ValueError, match="other.safetensors has no entry 'model' in its metadata.*; expected"):
        load_safetensors(tmp_path / 'other.safetensors')


def test_files_say_what_an_image_must_be_what_classes_there_are_and_what_the_network_costs(make_run, tmp_path):
    config, network = make_run(**SMALL)
    config.class_names = ['a', 'b', 'c', 'd', "e's"]
    export_candidate(config, network, PRUNED, ['pth', 'safetensors', 'onnx', 'torch-export', 'timm'], tmp_path)
    assert Config.fromfile(tmp_path / 'config.py').class_names == config.class_names
    assert torch.load(tmp_path / 'model.pth', weights_only=True)['meta']['dataset_meta']['classes'][4] == "e's"
    said = {}
    for name in ('model', 'timm_model'):
        with safe_open(tmp_path / f'{name}.safetensors', 'pt') as file:
            said[name] = file.metadata()
    said['onnx'] = onnxruntime.InferenceSession(tmp_path / 'model.onnx').get_modelmeta().custom_metadata_map
    said['pt2'] = dict.fromkeys(said['onnx'], '')
    torch.export.load(tmp_path / 'model.pt2', extra_files=said['pt2'])
    for metadata in said.values():
        assert (metadata['scale'], metadata['macs'], metadata['params']) == ('0.50', '11', '13')
        assert json.loads(metadata['input_shape']) == [3, 8, 8]
        assert json.loads(metadata['classes']) == ['a', 'b', 'c', 'd', "e's"]
        assert json.loads(metadata['preprocessing'])['channels'] == 'BGR'  # to_rgb, and no file is read as BGR
        assert json.loads(metadata['data_preprocessor']) == dict(mean=[10., 20., 30.], std=[50., 60., 70.], to_rgb=True)


def test_graphs_hold_no_path_of_the_machine_and_no_example_images(make_run, tmp_path):
    config, network = make_run(**SMALL)
    export_candidate(config, network, PRUNED, ['onnx', 'torch-export'], tmp_path)
    with zipfile.ZipFile(tmp_path / 'model.pt2') as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert sum(len(content) for name, content in parts.items() if 'sample_inputs' in name) == 0
    parts['onnx'] = (tmp_path / 'model.onnx').read_bytes()
    for folder in (PROJECT, Path(torch.__file__).parents[1]):
        assert [name for name, content in parts.items() if str(folder).encode() in content] == []


def test_the_onnx_graph_has_one_dynamic_batch(make_run, tmp_path):
    config, network = make_run(**SMALL)
    export_candidate(config, network, PRUNED, ['onnx'], tmp_path)
    graph = onnx.load(tmp_path / 'model.onnx').graph
    shapes = {value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
              for value in (*graph.input, *graph.output)}
    assert shapes == {'images': ['batch', 3, 8, 8], 'logits': ['batch', 5]}


def test_the_table_has_a_line_a_file(make_run, tmp_path):
    config, network = make_run(**SMALL)
    table = format_exported(export_candidate(config, network, PRUNED, ['pth', 'onnx'], tmp_path)).splitlines()
    assert table[0].split() == ['form', 'file', 'bytes', 'difference', 'needs']
    assert [line.split()[0] for line in table[1:]] == ['pth', 'config.py', 'onnx', 'predict.py', 'in']
    assert table[1].endswith('mmpretrain, mmamd') and max(map(len, table[:-1])) <= 80
    assert table[-1] == f'in {tmp_path}'


# --- what a form cannot express ---

def refused(run, small, forms, match, folder):
    with pytest.raises(ValueError, match=match):
        export_candidate(*run, small, forms, folder / 'out')
    assert not (folder / 'out').exists()


def test_a_head_pruned_student_has_no_plain_config_and_is_told_where_why_and_what_instead(make_run, tmp_path):
    refused(make_run(**SMALL), candidate((3, 4), (2, 5)), ['mmpretrain'],
            "'mmpretrain' cannot express candidate 0.50: layers.1 keeps 2 of 3 heads, and the attention .* as wide as "
            r"its embedding; prune neurons alone \(compression.prune=\('neuron',\)\). Forms that can express every "
            'candidate: pth, safetensors, onnx, torch-export', tmp_path)


def test_forms_that_cannot_be_are_named_before_the_others_are_written(make_run, tmp_path, monkeypatch):
    events = []
    write = FORMS['safetensors'].write
    monkeypatch.setitem(FORMS, 'safetensors', dataclasses.replace(
        FORMS['safetensors'], write=lambda *arguments: (events.append('written'), write(*arguments))))
    plain, tensors = export_candidate(*make_run(**SMALL), PRUNED, ['mmpretrain', 'safetensors'], tmp_path,
                                      say=events.append)
    assert events == [f'mmpretrain is not written: {plain.refused}', 'written']
    assert "'mmpretrain' cannot express candidate 0.50: layers.0 keeps 2 of 3 heads" in plain.refused
    assert [path.name for path in tmp_path.iterdir()] == ['model.safetensors'] and tensors.refused is None
    assert format_exported([plain, tensors]).splitlines()[-1] == 'mmpretrain: not written'


def test_the_first_pruned_blocks_are_named_and_the_rest_counted(make_run, tmp_path):
    refused(make_run(layers=5), candidate(*[(1, 7)] * 5), ['mmpretrain'],
            'layers.2 keeps 1 of 3 heads and 2 more blocks have lost heads, and', tmp_path)


@pytest.mark.parametrize('options, small, match', [
    (dict(num_registers=2), NEURONS_ONLY, 'drop_after_pos: a VisionTransformer has no register tokens, and this one 2'),
    (SWIGLU, candidate((3, 16), (3, 0)), 'layers.1 has 0 neurons, and a SwiGLUFFNFused .*; set compression.round_to=8'),
    (SWIGLU, candidate((3, 20), (3, 8)), 'layers.0 has 20 neurons, and a SwiGLUFFNFused has a multiple of 8')],
    ids=['registers', 'no neurons', 'no multiple'])
def test_what_mmpretrain_has_no_layer_for_is_named(make_run, tmp_path, options, small, match):
    refused(make_run(**SMALL, **options), small, ['mmpretrain'], f"'mmpretrain' cannot express .*{match}", tmp_path)


@pytest.mark.parametrize('options, match', [
    (dict(layer_cfgs=[dict(), dict(act_cfg=dict(type='ReLU'))]), r'layers.1: the activation ReLU\(.*expected the exac'),
    (dict(layer_cfgs=[dict(norm_cfg=dict(type='LN', eps=1e-2)), dict()]),
     r'layers.1.ln1: LayerNorm\(.*eps=1e-06.*; timm has one LayerNorm for all, which would be that of eps=0.01'),
    (dict(patch_cfg=dict(stride=2)), 'patch_embed: not a plain convolution of one stride a patch'),
    (dict(out_indices=[0, 1]), 'backbone: more outputs than that of the last block')], ids=str)
def test_what_timm_has_no_layer_for_is_named(make_run, tmp_path, options, match):
    refused(make_run(**SMALL, **options), PRUNED, ['timm'], f"'timm' cannot express candidate 0.50: .*{match}.* Forms "
            'that can express every candidate: pth', tmp_path)


def test_a_backbone_without_a_form_says_so(make_run, tmp_path, monkeypatch):
    monkeypatch.delattr(MaskedViT, 'timm_form')
    refused(make_run(**SMALL), PRUNED, ['timm'], 'a MaskedViT has no such form. Forms that can .*: pth', tmp_path)


def test_a_network_part_of_mmamd_has_no_plain_config(make_run, tmp_path):
    config, network = make_run(**SMALL)
    config.model.architecture.head.loss = dict(type='mmamd.LogitLoss')
    refused((config, network), NEURONS_ONLY, ['mmpretrain'], 'model: mmamd.LogitLoss is a part of mmamd', tmp_path)


def test_a_graph_for_images_of_any_size_is_refused_where_the_size_is_laid_down(make_run, tmp_path):
    match = "the graph of a MaskedViT is of one image size.*take the form 'onnx'"
    refused(make_run(**SMALL), PRUNED, ['onnx-any-size'], match, tmp_path)


# --- bad input ---

@pytest.mark.parametrize('forms, match', [
    (['pth', 'zip'], r"there is no form 'zip'; expected some of \['pth', .*'int8-dynamic'\]"),
    ([], r"no form was named; expected some of \['pth'")])
def test_an_unknown_form_is_answered_with_those_there_are(make_run, tmp_path, forms, match):
    refused(make_run(**SMALL), PRUNED, forms, match, tmp_path)


def test_files_that_are_there_stay_unless_they_may_be_replaced(make_run, tmp_path):
    run = make_run(**SMALL)
    (tmp_path / 'config.py').write_text('mine = 1\n')
    with pytest.raises(FileExistsError, match=r'config.py is there already; give another folder \(--out\), or replace'):
        export_candidate(*run, PRUNED, ['safetensors', 'pth'], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['config.py']
    assert (tmp_path / 'config.py').read_text() == 'mine = 1\n'
    export_candidate(*run, PRUNED, ['pth'], tmp_path, force=True)
    assert Config.fromfile(tmp_path / 'config.py').model.backbone.heads == [2, 1]


def test_a_form_that_is_named_twice_is_written_once(make_run, tmp_path):
    assert len(export_candidate(*make_run(**SMALL), PRUNED, ['pth', 'pth'], tmp_path)) == 1
