"""What ScaleKD shows of some images: spectra of the states that it compares, and where its queries look.

Shapes: N samples, C channels, H x W positions, L queries, P positions of the student's maps.
"""

from torch import Tensor

from mmamd.backbones.elastic_backbone import ElasticBackbone
from mmamd.distillation.connectors import names_of
from mmamd.distillation.losses.scalekd.spectrum import dct2
from mmamd.distillation.maps import as_maps
from mmamd.distillation.outputs import Outputs
from mmamd.passes import one_tensor, watch
from mmamd.structures import Maps

PARTS = 4  # that a network without stages counts as


def stages(teacher: Outputs, backbone: ElasticBackbone) -> dict[str, Tensor]:
    """Maps (N, C, H, W) at the end of each of the teacher's stages but the last, by the names of their modules.

    Stages are told by the size of their maps; a network whose maps have one size counts as four parts of as many
    blocks. Runs the teacher once more.
    """
    names = names_of(teacher.network, backbone.hidden_state_modules[1:])  # without the embedding
    with watch(teacher.network, names) as seen:
        teacher.network(teacher.inputs, mode='tensor')
    maps = [as_maps(one_tensor(seen, name, 'teacher'), teacher.inputs) for name in names]
    ends = [i for i, state in enumerate(maps[:-1]) if state.shape[2:] != maps[i + 1].shape[2:]]
    if not ends:
        ends = sorted({part * len(names) // PARTS - 1 for part in range(1, PARTS)} - {-1})
    return {names[i]: maps[i] for i in ends}


def spectra(states: dict[str, Tensor]) -> Maps:
    """Mean magnitude of the cosine transform of each state (N, C, H, W), over samples and channels.

    On a logarithmic scale, the direct component being 0. Source: ScaleKD, Figures 2 and 5.
    """
    panels = {}
    for name, maps_NCHW in states.items():
        mean_HW = dct2(maps_NCHW.float()).abs().mean((0, 1))
        panels[name] = (mean_HW / mean_HW[0, 0]).clamp_min(1e-6).log10().tolist()
    return Maps('spectrum', 'Spectra of teacher and student',
                'Mean magnitude of the cosine transform of all channels, as a share of that of the direct component '
                '(top left); frequencies rise to the right and downwards. In a transformer the direct component '
                'stands out; the second view of ScaleKD leaves it out.',
                'log10 of the share', panels)


def attention(weights_NLP: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Maps:
    """Where queries in the middle of each quarter of the teacher's maps look in the student's, mean over samples.

    Args:
        weights_NLP: How much each query sees of each position.
        grid: Height and width of the queries' positions.
        size: Height and width of the student's maps.
    """
    (height, width), mean_LP = grid, weights_NLP.float().mean(0)
    middles = [(row, column) for row in dict.fromkeys((height // 4, 3 * height // 4))
               for column in dict.fromkeys((width // 4, 3 * width // 4))]
    return Maps('attention', 'Where the queries of the cross attention projector look',
                "Each panel is the student's last map. A query asks for one position of the teacher's (row, column, "
                'from the top left); shown is how much it sees of each position, as the mean over images and heads.',
                'share', {f'query ({row}, {column})': mean_LP[row * width + column].unflatten(0, size).tolist()
                          for row, column in middles})
