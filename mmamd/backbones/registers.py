"""Register tokens of a vision transformer.

Shapes: N samples, L tokens, C embedding width, R registers.
"""

import torch
import torch.nn as nn
from torch import Tensor


class Registers(nn.Module):
    """Puts register tokens behind the class token, before the first block.

    They have no position, and nothing reads them: a transformer keeps in them what belongs to no patch. Source: Darcet
    et al., Vision Transformers Need Registers, ICLR 2024; as in DINOv2 with registers.

    Args:
        num: Number of registers.
        num_before: Tokens before them: 1 with a class token, else 0.
        width: Embedding width.
        drop: Dropout of all tokens behind the registers.
    """

    def __init__(self, num: int, num_before: int, width: int, drop: nn.Module) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.empty(1, num, width))
        nn.init.normal_(self.tokens, std=1e-6)  # as DINOv2: equal ones would stay equal
        self.num_before = num_before
        self.drop = drop

    def forward(self, x_NLC: Tensor) -> Tensor:
        tokens_NRC = self.tokens.expand(x_NLC.shape[0], -1, -1)
        return self.drop(torch.cat([x_NLC[:, :self.num_before], tokens_NRC, x_NLC[:, self.num_before:]], dim=1))

    def taken_out(self, x_NLC: Tensor) -> Tensor:
        """The tokens without the registers."""
        behind = self.num_before + self.tokens.shape[1]
        return torch.cat([x_NLC[:, :self.num_before], x_NLC[:, behind:]], dim=1)
