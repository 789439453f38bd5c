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


@MODELS.register_module()
class FitNetLoss(Loss):
    """:func:`hint_loss` of a linear regressor of the student's channels, a 1 x 1 convolution on maps.

    The paper trains the regressor and the layers below it first, and then distils logits. As its successors do, the
    hint is a term here, beside the others; for the paper's two steps name it in the section ``pretrain`` alone.

    Args:
        layer: ``'middle'``, the middle one of the hidden states, for networks of one architecture; or a pair of names
            of modules, the student's and the teacher's.
        weight: Factor of the term; 100 is CRD's benchmark for convolutional pairs.

    Raises:
        ValueError: ``layer`` is neither.
    """

    def __init__(self, *, layer: str | tuple[str, str] = 'middle', weight: float = 100.0) -> None:
        super().__init__(weight=weight)
        self.layer = check_layer(layer, ('middle',))
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
            self.regressors.append(Linear(*connectable((own, others), student.states[own], teacher.states[others])))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> Tensor:
        (own, others), = self.pairs[index]
        return hint_loss(*self.regressors[index](student.states[own], teacher.states[others]))
