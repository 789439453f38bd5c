"""The feature loss: a student imitates the teacher's hidden states.

The embedding width of a transformer is never pruned, so the states of a candidate and of its teacher have one shape
and no projector is needed. The channels of a convolutional network are pruned, but candidate and teacher have them in
one order, so the candidate's are compared with the teacher's first ones. States of two architectures meet through
connectors.

Legend: N samples, L tokens, D channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmamd.distillation.connectors import Connectors, are_pairs, check_pairs, same_architecture, state_names
from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

Layers = str | Sequence[int | tuple[str, str]]  # 'auto', numbers of hidden states, or pairs of names of modules
NUM_AUTO_BLOCKS = 7  # block outputs that 'auto' takes beside the embedding


def feature_loss(student_states: Sequence[Tensor], teacher_states: Sequence[Tensor],
                 normalize: bool = False) -> Tensor:
    """Mean over layers of the mean squared difference over all elements (samples, tokens, channels).

    Args:
        student_states: One tensor a layer, (N, L, D) tokens or (N, D, H, W) maps.
        teacher_states: As many tensors of the same shapes.
        normalize: Scale the channel vector of every token (or position) to length 1 first, so that directions alone
            are compared.

    Returns:
        Scalar, at least float32 whatever the precision of the states.

    Raises:
        ValueError: No states, a different number of states, or states of different shapes.

    Source: AMD, supplement 5.1 (L_feat), with the choice of elements of MiniDisc: all tokens, mean over everything.
    """
    if not student_states or len(student_states) != len(teacher_states):
        raise ValueError(f'the feature loss needs the same layers of both networks, at least one; got '
                         f'{len(student_states)} states of the student and {len(teacher_states)} of the teacher')
    return torch.stack([_squared_difference(index, student, teacher, normalize)
                        for index, (student, teacher) in enumerate(zip(student_states, teacher_states, strict=True))
                        ]).mean()


def _squared_difference(index: int, student: Tensor, teacher: Tensor, normalize: bool) -> Tensor:
    if student.shape != teacher.shape:
        # Without this check the difference would broadcast, (N, L, 1) against (N, L, D) for one.
        raise ValueError(f'state {index} of the student has shape {tuple(student.shape)}, of the teacher '
                         f'{tuple(teacher.shape)}; the feature loss compares equal shapes, so use a teacher of the '
                         'same embedding width and input size, or set the weight of the feature loss to 0')
    student, teacher = at_least_float32(student), at_least_float32(teacher)
    if normalize:
        channel_dim = 1 if student.ndim == 4 else -1
        student, teacher = F.normalize(student, dim=channel_dim), F.normalize(teacher, dim=channel_dim)
    return F.mse_loss(student, teacher)


def resolve_layers(spec: str | Sequence[int], num_blocks: int) -> list[int]:
    """Numbers of the hidden states to compare; state 0 is the embedding, state i the output of block i.

    Args:
        spec: ``'auto'`` for the embedding and seven evenly spaced blocks, ``round(i * num_blocks / 7)``, the last
            included (all states of a network of fewer than seven blocks), or explicit numbers.
        num_blocks: Number of blocks of the network, at least 1.

    Returns:
        The explicit numbers as given, or those of ``'auto'`` ascending: 12 blocks -> [0, 2, 3, 5, 7, 9, 10, 12].

    Raises:
        ValueError: ``spec`` is another string, empty, has duplicates, or names a state outside 0..num_blocks.
            Negative numbers are refused: -1 would mean another state in a network of another depth.
    """
    if num_blocks < 1:
        raise ValueError(f'num_blocks must be at least 1, got {num_blocks}')
    if isinstance(spec, str):
        if spec != 'auto':
            raise ValueError(f"layers must be 'auto' or a list of numbers within 0..{num_blocks}, got {spec!r}; "
                             "leave it out for 'auto'")
        if num_blocks < NUM_AUTO_BLOCKS:
            return list(range(num_blocks + 1))
        # 7 is odd, so no product lies halfway between two blocks and the rounding rule does not matter.
        return [round(i * num_blocks / NUM_AUTO_BLOCKS) for i in range(NUM_AUTO_BLOCKS + 1)]
    layers = list(spec)
    expected = f"expected different integers within 0..{num_blocks} (0 is the embedding) or 'auto'"
    if not layers:
        raise ValueError(f'layers is empty, got {spec!r}; {expected}. To leave the feature loss out, give it weight 0')
    for layer in layers:
        if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer <= num_blocks:
            raise ValueError(f'layers has {layer!r}, got {layers}; {expected}')
    duplicates = sorted({layer for layer in layers if layers.count(layer) > 1})
    if duplicates:
        raise ValueError(f'layers has {duplicates} more than once, got {layers}; {expected}')
    return layers


def layer_pairs(layers: Layers, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
    """Names of the modules whose states a term compares: the student's and the teacher's.

    Args:
        layers: ``'auto'`` or numbers of hidden states, see :func:`resolve_layers`, or the pairs themselves.
        student, teacher: The networks.

    Raises:
        ValueError: A network has no such module, or numbers are asked of two architectures.
    """
    if are_pairs(layers):
        return check_pairs(layers, student, teacher)
    if not same_architecture(student, teacher):
        raise ValueError("a student of another architecture needs layers=[('<its module>', '<the teacher's>'), "
                         "...]: pairs of modules whose outputs are to be compared, e.g. ('backbone.stages.0', "
                         f"'backbone.stages.0'); got layers={layers!r}. Or give the term weight 0")
    own, teachers = (state_names(network) for network in (student, teacher))
    return [(own[i], teachers[i]) for i in resolve_layers(layers, len(own) - 1)]


class LayersLoss(Loss):
    """What terms have in common that compare the states of several layers.

    Args:
        layers: As of :class:`FeatureLoss`.
        weight: Factor of the term.

    Raises:
        ValueError: ``layers`` is something else.
    """

    def __init__(self, *, layers: Layers = 'auto', weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        are_pairs(layers)  # refuses what is neither
        self.layers = layers

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        return layer_pairs(self.layers, student, teacher)


@MODELS.register_module()
class FeatureLoss(LayersLoss):
    """:func:`feature_loss` over some layers; what differs in shape is made comparable by :class:`Connectors`.

    Args:
        layers: ``'auto'`` or explicit numbers of hidden states, see :func:`resolve_layers`, for networks of one
            architecture; or pairs of names of modules, the student's own and the teacher's, for any two networks:
            ``[('backbone.stages.0', 'backbone.layer1'), ...]``. ``'NAME:in'`` is what a module is given, such as
            ``'backbone.layer1.2.relu:in'`` for a state before its last ReLU.
        normalize: See :func:`feature_loss`.
        weight: Factor of the term; AMD's beta.
    """

    def __init__(self, *, layers: Layers = 'auto', normalize: bool = False, weight: float = 1.0) -> None:
        super().__init__(layers=layers, weight=weight)
        self.normalize = normalize
        self.connectors = nn.ModuleList()

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        self.connectors.extend(Connectors(pairs, student, teacher)
                               for pairs, teacher in zip(self.pairs, teachers, strict=True))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        return feature_loss(*self.connectors[index](student, teacher), self.normalize)
