"""Teacher parameter perception: a student's earlier stages, continued by the teacher's last one, or compared before it.

Shapes: N samples, L tokens, C channels, H x W positions.
"""

from collections.abc import Callable

from torch import Tensor, nn

from mmamd.distillation.losses.scalekd.projectors import Form


class Paths(nn.Module):
    """What one view learns of one teacher: the student's path and, with teacher parameter perception, the proxy path.

    On the proxy path the student's last but one stage is projected to what enters the teacher's last stage, and runs
    through it. The teacher's parameters stay as they are; gradients pass through them to the projector and the
    student. What comes out may be the queries of the student's path ("adaptive"). Without teacher parameter perception
    the last but one stage may be projected on an early path, to be compared with what enters the teacher's last stage.

    Args:
        student: Projector of the student's last stage.
        form: Form of the teacher's last state.
        proxy: Projector of its last but one stage; None without teacher parameter perception.
        early: The same for the early path; None if one stage is compared.
        early_form: Form of what enters the teacher's last stage, for either of them.
        adaptive: Whether the queries of the student's path are what comes out of the proxy path.
        detach: Whether the student's path then trains neither the proxy's projector nor the earlier stages through
            them.

    Source: ScaleKD, section 2.1 and Eq. 4.
    """

    def __init__(self, student: nn.Module, form: Form, *, proxy: nn.Module | None = None,
                 early: nn.Module | None = None, early_form: Form | None = None, adaptive: bool = False,
                 detach: bool = False) -> None:
        super().__init__()
        self.student, self.proxy, self.early = student, proxy, early
        self.form, self.early_form = form, early_form
        self.adaptive, self.detach = adaptive, detach

    def forward(self, early_NCHW: Tensor | None, last_NCHW: Tensor,
                tail: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Maps (N, C, H, W) of the teacher's size, by the name of their path.

        Args:
            early_NCHW, last_NCHW: Maps of the student's last two stages; without a path of its own the earlier one is
                unread.
            tail: The teacher's last stage, from a state that enters it to its last state.
        """
        if self.proxy is None:
            found = {'student': _as_maps(self.student(last_NCHW), self.form)}
            return found if self.early is None else {
                **found, 'early': _as_maps(self.early(early_NCHW), self.early_form)}
        proxied = _as_maps(tail(self.early_form.shape(self.proxy(early_NCHW))), self.form)
        if not self.adaptive:
            return {'student': _as_maps(self.student(last_NCHW), self.form), 'proxy': proxied}
        queries_NLC = (proxied.detach() if self.detach else proxied).flatten(2).mT
        return {'student': _as_maps(self.student(last_NCHW, queries_NLC), self.form), 'proxy': proxied}


def _as_maps(state: Tensor, form: Form) -> Tensor:
    """Maps of a state of the teacher's positions; other tokens are dropped."""
    height, width = form.size
    return state if state.ndim == 4 else state[:, -height * width:].mT.unflatten(2, (height, width))
