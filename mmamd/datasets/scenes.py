"""Generated street scenes with labels: minutes of video of a road, small enough to train on within seconds.

Legend: H x W pixels, 48 x 64.
"""

import numpy as np
from numpy.typing import NDArray

CLASSES = ('sky', 'building', 'road', 'car')
PALETTE = [[128, 128, 128], [128, 0, 0], [128, 64, 128], [64, 0, 128]]
VOID = 255
HEIGHT, WIDTH = 48, 64
COLOURS = np.array([[200, 220, 250], [150, 90, 60], [90, 90, 90], [200, 40, 60]])  # of the classes, in the images


def scene(number: int, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Image (H, W, 3) and labels (H, W), uint8: neighbouring numbers are neighbouring frames."""
    draw = np.random.default_rng([seed, number])
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    horizon = 24 + number % 5
    labels[4:horizon, number % 13:number % 13 + 24] = 1
    labels[horizon:] = 2
    left = 5 + 3 * number % 40
    labels[horizon + 4:horizon + 18, left:left + 18] = 3
    noise = draw.normal(0, 20, (HEIGHT, WIDTH, 3))
    image = np.clip(COLOURS[labels] + noise, 0, 255).astype(np.uint8)
    labels[:, :2] = VOID
    return image, labels
