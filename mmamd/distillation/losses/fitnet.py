"""FitNets: a hint, a hidden state in the middle of the teacher, that the student's regressor must predict.

Legend: N samples, L tokens, C channels.
"""

from torch import Tensor, nn

from mmamd.distillation.connectors import Linear, check_pairs, connectable, same_architecture, state_names
from mmamd.distillation.layers import check_layer
from mmamd.distillation.losses.loss import Loss, at_least_float32
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS


def hint_loss(predicted: Tensor, hint: Tensor) -> Tensor:
    """Mean over all elements of the squared difference of two states of one shape, at least float32.

    Source: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, Eq. 3, as a mean instead of half a sum.
    """
    return (at_least_float32(predicted) - at_least_float32(hint)).square().mean()


class Regressor(nn.Sequential):
    """What predicts a hint: a linear map of the student's channels, and on maps what a hint may have behind it.

    Args:
        own, width: Channels of the student's state and of the hint.
        norm, relu: Whether a batch norm and a ReLU follow.
    """

    def __init__(self, own: int, width: int, norm: bool, relu: bool) -> None:
        behind = [*([nn.BatchNorm2d(width)] if norm else []), *([nn.ReLU()] if relu else [])]
        super().__init__(Linear(own, width), *behind)

    def forward(self, student: Tensor) -> Tensor:
        first, *behind = self
        predicted, _ = first(student, None)
        for layer in behind:
            predicted = layer(predicted)
        return predicted


@MODELS.register_module()
class FitNetLoss(Loss):
    """:func:`hint_loss` of a :class:`Regressor` of the student's channels, a 1 x 1 convolution on maps.

    The paper trains the regressor and the layers below it first, and then distils logits. As its successors do, the
    hint is a term here, beside the others; for the paper's two steps name it in the section ``pretrain`` alone.

    Args:
        layer: ``'middle'``, the middle one of the hidden states, for networks of one architecture; or a pair of names
            of modules, the student's and the teacher's.
        norm: Whether a batch norm follows the regressor of maps, as in CRD's benchmark, without which its weight of 100
            lets small networks diverge; tokens have none.
        relu: Whether a ReLU follows it, for hints that are states behind one: the paper wants the same non-linearity
            of both, and CRD's benchmark has it.
        weight: Factor of the term; 100 is CRD's benchmark for convolutional pairs.

    Raises:
        ValueError: ``layer`` is neither.
    """

    def __init__(self, *, layer: str | tuple[str, str] = 'middle', norm: bool = True, relu: bool = False,
                 weight: float = 100.0) -> None:
        super().__init__(weight=weight)
        self.layer = check_layer(layer, ('middle',))
        self.norm = norm
        self.relu = relu
        self.regressors = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        if self.layer != 'middle':
            return check_pairs([self.layer], student, teacher)
        if not same_architecture(student, teacher):
            raise ValueError("a student of another architecture needs layer=('<its module>', '<the teacher's>'), two "
                             'modules whose outputs are equally large')
        own, teachers = state_names(student), state_names(teacher)
        return [(own[len(own) // 2], teachers[len(teachers) // 2])]

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        for ((own, others),), teacher in zip(self.pairs, teachers, strict=True):
            hint = teacher.states[others]
            channels = connectable((own, others), student.states[own], hint)
            self.regressors.append(Regressor(*channels, self.norm and hint.ndim == 4, self.relu))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        (own, others), = self.pairs[index]
        return hint_loss(self.regressors[index](student.states[own]), teacher.states[others])
