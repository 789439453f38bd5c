import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from mmamd.visualization.style import DARK, LIGHT, STYLES, contrast, encoded, new_figure, pixels, save_figure


def test_contrast_is_that_of_wcag():
    assert contrast('black', 'white') == contrast('white', 'black') == pytest.approx(21)
    assert contrast('#777777', 'white') == pytest.approx(4.48, abs=0.005)  # the known grey just below 4.5


@pytest.mark.parametrize('style', STYLES, ids=lambda style: style.name)
def test_text_and_marks_can_be_read_on_the_paper(style):
    for text in (style.ink, style.muted):
        assert contrast(text, style.paper) >= 4.5  # WCAG AA for text
    for mark in (style.blue, style.orange, style.green, *style.ordered(24)):
        assert contrast(mark, style.paper) >= 1.4
    for fraction in np.linspace(0, 1, 21):
        assert contrast(style.ink_on(fraction), style.amounts(fraction)) >= 3.8  # numbers in a map; 3 is asked of marks


@pytest.mark.parametrize('style', STYLES, ids=lambda style: style.name)
def test_ordered_colours_change_their_brightness_in_one_direction(style):
    brightness = style.ordered(24)[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) > 0).all()


def test_equal_figures_give_equal_files():
    def draw():
        figure = new_figure(LIGHT, 3, 2)
        figure.add_subplot().plot([1, 2], label='a')
        return figure
    for form in ('svg', 'png', 'pdf'):
        assert encoded(draw(), form) == encoded(draw(), form)
    assert plt.get_fignums() == []  # no state of pyplot is touched


def test_a_figure_is_saved_in_the_form_of_its_name_and_has_the_styles_paper(tmp_path):
    figure = new_figure(DARK, 3, 2)
    save_figure(figure, tmp_path / 'new folder' / 'a.png')
    corner = imread(tmp_path / 'new folder' / 'a.png')[0, 0, :3]
    np.testing.assert_allclose(corner, to_rgb(DARK.paper), atol=1 / 255)
    assert pixels(figure).shape == (400, 600, 3) and pixels(figure).dtype == np.uint8
