"""The teacher pruned by Torch-Pruning, in its timm form: it follows timm's attention and not MMPretrain's."""

import copy

import networks
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch_pruning as tp

from mmamd.backbones import timm_student
from mmamd.backbones.timm_form import timm_form
from mmamd.distillation.losses.feature import resolve_layers
from mmamd.pruning.complexity import network_cost


def as_timm(network: nn.Module) -> nn.Module:
    """timm's VisionTransformer of a classifier over a MaskedViT, with copies of its weights."""
    form = timm_form(network)
    model = timm_student.build(**form.arguments)
    model.load_state_dict(form.weights)
    return model.to(next(network.parameters()).device)


def taylor_groups(model: nn.Module, image: torch.Tensor) -> list:
    """Torch-Pruning's groups of the heads and hidden neurons of a timm ViT: what reads them, and what that needs."""
    graph = tp.DependencyGraph().build_dependency(model, image)
    return [graph.get_pruning_group(layer, tp.prune_linear_in_channels, list(range(layer.in_features)))
            for block in model.blocks for layer in (block.attn.proj, block.mlp.fc2)]


class TaylorImportance(tp.importance.GroupTaylorImportance):
    """Torch-Pruning's, with the best head and the best neuron of each block above all others.

    Where a global ranking takes every unit of a layer, Torch-Pruning leaves the layer whole instead.

    Args:
        num_units: Number of heads of each layer that makes queries, keys and values, and of neurons of each hidden
            layer.
    """

    def __init__(self, num_units: dict[nn.Module, int]) -> None:
        super().__init__()
        self.num_units = num_units

    def __call__(self, group) -> torch.Tensor:
        importance = super().__call__(group)
        for dependency, _ in group:
            if dependency.target.module in self.num_units:
                units = importance.view(self.num_units[dependency.target.module], -1)
                units[units.mean(1).argmax()] = torch.finfo(units.dtype).max / units.shape[1]
        return importance


def torch_pruned(teacher: nn.Module, config: dict, images: torch.Tensor, labels: torch.Tensor,
                 macs: float) -> tuple[dict, nn.Module]:
    """Prune heads and hidden neurons by Torch-Pruning: Taylor importance, global ranking, one shot.

    One ratio for heads and for neurons, found so that the network has at most ``macs``. Each block keeps a head and a
    neuron, so the ratio of heads ends where all blocks have one.

    Args:
        teacher: Classifier over a MaskedViT.
        config: Its config.
        images, labels: Preprocessed training images (N, channels, height, width) and their classes, which the
            gradients are taken of.
        macs: MACs of one image.

    Returns:
        Config of the pruned network, and the network.

    Raises:
        ValueError: If no ratio gives a network as small as that.
    """
    source = as_timm(teacher).eval()
    for batch, classes in zip(images.split(64), labels.split(64), strict=True):
        (F.cross_entropy(source(batch), classes, reduction='sum') / len(images)).backward()

    def pruned(ratio: float) -> tuple[dict, nn.Module]:
        model = copy.deepcopy(source)
        for own, other in zip(model.parameters(), source.parameters(), strict=True):
            own.grad = other.grad.clone()  # a copy of a module leaves its gradients behind
        prune(model, images[:1], ratio)
        return _as_elastic(model, config)

    low, high, found = 0., 1., None
    for _ in range(12):
        middle = (low + high) / 2
        candidate = pruned(middle)
        if network_cost(candidate[1]).macs <= macs:
            high, found = middle, candidate
        else:
            low = middle
    if found is None:
        raise ValueError(f'Torch-Pruning makes no network of at most {macs:,.0f} MACs that has a head in each block')
    return found


def prune(model: nn.Module, image: torch.Tensor, ratio: float) -> None:
    """Let Torch-Pruning remove a share of all heads, and of all neurons, of a timm ViT with gradients, in place."""
    prunable = [layer for block in model.blocks for layer in (block.attn.qkv, block.mlp.fc1)]
    whole = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)
             and module not in prunable]
    num_heads = {block.attn.qkv: block.attn.num_heads for block in model.blocks}
    num_units = {**num_heads, **{block.mlp.fc1: block.mlp.fc1.out_features for block in model.blocks}}
    most = 1 - len(num_heads) / sum(num_heads.values())  # a head a block remains
    pruner = tp.pruner.BasePruner(
        model, image, importance=TaylorImportance(num_units), global_pruning=True, pruning_ratio=ratio,
        head_pruning_ratio=min(ratio, most), ignored_layers=whole, num_heads=num_heads, prune_num_heads=True,
        prune_head_dims=False, root_module_types=[nn.Linear])
    pruner.step()
    for block in model.blocks:
        block.attn.num_heads = pruner.num_heads[block.attn.qkv]
        block.attn.attn_dim = block.attn.proj.in_features


def _as_elastic(model: nn.Module, config: dict) -> tuple[dict, nn.Module]:
    """The pruned timm network as a MaskedViT, which the pipeline trains."""
    config = copy.deepcopy(config)
    config['backbone'] |= dict(heads=[block.attn.num_heads for block in model.blocks],
                               neurons=[block.mlp.fc2.in_features for block in model.blocks])
    network = networks.build(config)
    weights = model.state_dict()
    with torch.no_grad():
        for name, tensor in timm_form(network).weights.items():  # the network's own tensors under timm's names
            tensor.copy_(weights[name])
    return config, network


def connections(config: dict) -> list[tuple[str, str]]:
    """What the feature loss compares by default, by name: the embedding and evenly spaced blocks."""
    network = networks.build(config)
    names = {module: name for name, module in network.named_modules()}
    layers = resolve_layers('auto', len(network.backbone.layers))
    return [(names[network.backbone.hidden_state_modules[i]],) * 2 for i in layers]
