"""What a process shows: which level of the student is taught by which of the teacher, at some times."""

from collections.abc import Mapping, Sequence

from mmamd.distillation.losses.distpro.pathways import Pathway
from mmamd.structures import Maps


def level_maps(weights: Mapping[float, Sequence[float]], pathways: Sequence[Pathway], num_levels: int) -> Maps:
    """One map a time, level of the teacher x level of the student; of several transforms between two, their sum.

    Args:
        weights: Progress in [0, 1] -> weights of the pathways.
        pathways: The pathways.
        num_levels: Levels of each network.
    """
    panels = {}
    for progress, row in weights.items():
        panel: list[list[float | None]] = [[None] * num_levels for _ in range(num_levels)]
        for pathway, weight in zip(pathways, row, strict=True):
            panel[pathway.teacher][pathway.student] = (panel[pathway.teacher][pathway.student] or 0.) + float(weight)
        panels[f'at {progress:.0%}'] = panel
    return Maps('pathways', 'Which level is taught by which',
                'Weight of the pathway between each level of the student and each of the teacher, both numbered from '
                'low to high, at some shares of the training; grey where there is no pathway, 0 where the threshold '
                'leaves it out.', 'weight', panels, rows="teacher's level", columns="student's level")
