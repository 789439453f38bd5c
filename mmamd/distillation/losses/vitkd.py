"""ViTKD: a transformer mimics the teacher's first blocks, and generates its last state from a part of its own.

Shapes: N samples, L tokens, C channels, H x W positions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmamd.distillation.connectors import aligned, check_pairs, connectable, same_architecture, state_names
from mmamd.distillation.generation import Generator, MaskSeed, check_share
from mmamd.distillation.losses.loss import Loss, at_least_float32, check_weight
from mmamd.distillation.outputs import Outputs
from mmamd.registry import MODELS

NUM_SHALLOW = 2  # blocks that are mimicked


def mimic_loss(students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
    """Sum over layers and elements of the squared differences, mean over the samples, at least float32.

    Source: Yang et al., "ViTKD: Practical Guidelines for ViT Feature Knowledge Distillation", 2022.
    """
    return sum((at_least_float32(student) - at_least_float32(teacher)).square().sum() / len(student)
               for student, teacher in zip(students, teachers, strict=True))


def generation_loss(generated_NCHW: Tensor, teacher_NCHW: Tensor, hidden_N1HW: Tensor, share: float) -> Tensor:
    """Sum of the squared differences at the hidden positions, by the share of them, mean over the samples.

    Args:
        generated_NCHW, teacher_NCHW: Maps of one shape.
        hidden_N1HW: True where the student's own state was hidden.
        share: Share of the positions that is hidden.

    Returns:
        Scalar, at least float32.

    Source: as :func:`mimic_loss`; the division by the share is their code's.
    """
    difference = (at_least_float32(generated_NCHW) - at_least_float32(teacher_NCHW)) * hidden_N1HW
    return difference.square().sum() / (len(difference) * share)


def hidden_positions(uniform_NL: Tensor, share: float) -> Tensor:
    """True at the positions of the largest numbers of each row, of which ``floor(L (1 - share))`` stay False."""
    ranks_NL = uniform_NL.argsort(dim=1).argsort(dim=1)
    return ranks_NL >= int(uniform_NL.shape[1] * (1 - share))


class Branches(nn.Module):
    """What the term learns for one teacher: a map of channels a layer where needed, a mask token, a generator."""

    def __init__(self, connectors: list[nn.Module], width: int) -> None:
        super().__init__()
        self.connectors = nn.ModuleList(connectors)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.generator = Generator(width)


@MODELS.register_module()
class ViTKDLoss(Loss):
    """``alpha`` times :func:`mimic_loss` of two first blocks plus ``beta`` times :func:`generation_loss` of the last.

    The generator sees the student's last state with a trained token at the hidden positions. The patches alone are
    compared, without class tokens, as maps. A trained linear map joins networks of two architectures. The masks are
    those of :class:`mmamd.distillation.generation.MaskSeed`.

    Args:
        shallow: Pairs of names of modules, the student's and the teacher's, whose outputs are mimicked; None for the
            first two blocks of networks of one architecture.
        deep: The pair whose state is generated; None for the last blocks.
        share: Share of the patches that is hidden, in (0, 1).
        alpha, beta: Factors of the two parts, >= 0. 3e-5 and 3e-6 are the authors', with ``share=0.5``, for DeiT on
            ImageNet.
        weight: Factor of the term.

    Raises:
        ValueError: An option is none of these; a state is no tokens.
    """

    def __init__(self, *, shallow: Sequence[tuple[str, str]] | None = None, deep: tuple[str, str] | None = None,
                 share: float = 0.5, alpha: float = 3e-5, beta: float = 3e-6, weight: float = 1.0) -> None:
        super().__init__(weight=weight)
        check_share(share)
        for name, value in (('alpha', alpha), ('beta', beta)):
            check_weight(name, value, 'alpha weighs the mimicking of the first blocks, beta the generation of the last')
        if (shallow is None) != (deep is None) or shallow is not None and not shallow:
            raise ValueError(f'shallow must be pairs of modules and deep one, or both None, got shallow={shallow!r} '
                             f'and deep={deep!r}; give both')
        self.shallow = shallow
        self.deep = deep
        self.share = share
        self.alpha = alpha
        self.beta = beta
        self.branches = nn.ModuleList()

    def watches(self, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
        if self.deep is not None:
            return check_pairs([*self.shallow, self.deep], student, teacher)
        if not same_architecture(student, teacher):
            raise ValueError("a student of another architecture needs shallow=[('<its block>', '<the teacher's>'), "
                             "...] and deep=('<its block>', '<the teacher's>'), of as many patches")
        pairs = list(zip(state_names(student), state_names(teacher), strict=True))
        return [*pairs[1:1 + NUM_SHALLOW], pairs[-1]]

    def build(self, student: Outputs, teachers: list[Outputs], num_images: int) -> None:
        self.masks = MaskSeed()
        for pairs, teacher in zip(self.pairs, teachers, strict=True):
            is_same = same_architecture(student.network, teacher.network)
            states = [(student.states[own], teacher.states[others]) for own, others in pairs]
            for names, both in zip(pairs, states, strict=True):
                if any(state.ndim != 3 for state in both):
                    raise ValueError(f'ViTKDLoss compares tokens (N, L, C), got outputs of shapes '
                                     f'{[tuple(state.shape) for state in both]} of {names}; use mmamd.MGDLoss for maps')
            maps = [(student.maps(own), teacher.maps(others)) for own, others in pairs]
            widths = [connectable(names, *both)[1] for names, both in zip(pairs, maps, strict=True)]
            self.branches.append(Branches([aligned(names, *both, is_same) for names, both in zip(
                pairs, maps, strict=True)], widths[-1]))

    def compare(self, student: Outputs, teacher: Outputs, index: int) -> dict[str, Tensor]:
        own = self.branches[index]
        states = [connect(student.maps(ours), teacher.maps(theirs))
                  for connect, (ours, theirs) in zip(own.connectors, self.pairs[index], strict=True)]
        students, teachers = zip(*states, strict=True)
        state = students[-1]
        n, _, h, w = state.shape
        uniform = self.masks.rand(n, h * w, progress=student.progress, index=index)
        hidden = hidden_positions(uniform, self.share).view(n, 1, h, w).to(state.device)
        generated = own.generator(torch.where(hidden, own.mask_token[:, None, None].to(state.dtype), state))
        return {'loss_mimic': self.alpha * mimic_loss(students[:-1], teachers[:-1]),
                'loss_generate': self.beta * generation_loss(generated, teachers[-1], hidden, self.share)}
