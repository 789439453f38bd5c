"""What a form loses, on images whose answers are known."""

import pytest
import torch

from mmamd.export import Comparison, compare
from mmamd.export.comparison import share_right

LABELS = torch.tensor([0, 1, 0, 1])


def answers(*labels):
    """Function that names these classes, whatever the images are, two a batch, with logits 0 and 2."""
    rows = iter(torch.nn.functional.one_hot(torch.tensor(labels), 2).float().mul(2).split(2))
    return lambda images: next(rows)


def batches():
    return zip(torch.zeros(4, 3, 2, 2).split(2), LABELS.split(2), strict=True)


def test_a_form_is_compared_image_by_image():
    found = compare(answers(0, 0, 0, 0), answers(0, 1, 0, 0), batches())
    # 2 of 4 against 3 of 4; the paired differences are 0, -1, 0, 0: deviation sqrt(3)/4, over sqrt(4).
    assert (found.num_images, found.value, found.reference) == (4, 0.5, 0.75)
    assert found.stderr == pytest.approx(3**0.5 / 8)
    assert found.difference == 1.  # 2 of at most 2


@pytest.mark.parametrize('stderr, verdict', [(0.01, 'a loss'), (0.02, 'no loss beyond chance')])
def test_a_loss_is_called_so_where_chance_does_not_explain_it(stderr, verdict):
    text = str(Comparison(2000, 0.77, 0.80, stderr, 0.1))
    assert text == (f'77.00 % of 2,000 test images right, 80.00 % in float32: -3.00 +- {100 * stderr:.2f} points, '
                    f'{verdict}')


def test_of_images_with_a_class_a_position_the_shares_are_compared():
    # Logits of 1 x 2 positions, at whose middles the labels are 0 and 1; 255 is no class, and does not count.
    labels = torch.tensor([[[0, 1]], [[0, 255]]]).repeat_interleave(2, 2)
    said = torch.tensor([[[0, 0]], [[1, 1]]])
    logits = torch.nn.functional.one_hot(said, 2).permute(0, 3, 1, 2).float()
    assert share_right(logits, labels).tolist() == [0.5, 0.]
    found = compare(lambda _: logits, lambda _: 1 - logits, [(torch.zeros(2, 3, 4, 4), labels)])
    assert (found.num_images, found.value, found.reference) == (2, 0.25, 0.75)  # the other one says 1, 1 and 0, 0
    assert '25.00 % of the positions of 2 test images right' in str(found)
