import numpy as np
from matplotlib.image import imsave

from mmamd.visualization.scenes_plot import Scenes, scenes_figure


def test_a_scene_is_a_row_and_what_is_said_of_it_a_column(tmp_path):
    (tmp_path / 'scenes').mkdir()
    names = {column: [f'scenes/{i}_{column}.png' for i in range(2)] for column in ('image', 'truth', 'student')}
    for files in names.values():
        for i, file in enumerate(files):
            imsave(tmp_path / file, np.full((4, 6, 3), i / 2))
    scenes = Scenes(names, ['road', 'car $'], [[255, 0, 0], [0, 0, 255]])
    scenes.save(tmp_path / 'scenes.json')
    assert Scenes.load(tmp_path / 'scenes.json') == scenes
    figure = scenes_figure(scenes, tmp_path)
    assert [axes.get_title() for axes in figure.axes] == ['image', 'truth', 'student', '', '', '']
    legend, = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ['road', r'car \$']
    assert [patch.get_facecolor()[:3] for patch in legend.get_patches()] == [(1, 0, 0), (0, 0, 1)]
