"""A teacher is asked once a view of an image, and what is used is what is kept."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmamd.distillation import teacher_cache
from mmamd.distillation.teacher_cache import TeacherCache, largest_and_rest, spread_rest


def samples(*rows):
    return [SimpleNamespace(sample_idx=row) for row in rows]


class Teacher:
    """Gives row r the logits (r, 2 r, 0.1); counts how often it is asked."""

    def __init__(self):
        self.num_asked = 0

    def about(self, *rows):
        def run():
            self.num_asked += 1
            return torch.tensor([[row, 2 * row, 0.1] for row in rows])
        return samples(*rows), run


def never():
    raise AssertionError('the teacher was asked again')


@pytest.fixture
def cache(tmp_path):
    return TeacherCache(tmp_path, num_images=5, num_classes=3, top_k=None)


# --- the largest logits ---

def test_the_classes_that_are_left_out_share_the_remaining_probability():
    # Probabilities 1/2, 1/4, 3/16, 1/16: of two kept, the others have (1 - 3/4) / 2 = 1/8 each.
    logits = torch.tensor([[1 / 16, 1 / 2, 3 / 16, 1 / 4]]).log() + 3
    kept, classes = largest_and_rest(logits, 2)
    assert classes.tolist() == [[1, 3]]
    assert kept[0].tolist() == pytest.approx([math.log(1 / 2) + 3, math.log(1 / 4) + 3, math.log(1 / 8) + 3])
    assert spread_rest(kept, classes, 4).softmax(1).tolist()[0] == pytest.approx([1 / 8, 1 / 2, 1 / 8, 1 / 4])


@given(st.integers(0, 100), st.integers(1, 9))
def test_what_is_kept_of_the_largest_is_exact_and_the_whole_sums_to_one(seed, top_k):
    logits = 5 * torch.randn(3, 10, generator=torch.Generator().manual_seed(seed))
    restored = spread_rest(*largest_and_rest(logits, top_k), 10)
    assert restored.shape == (3, 10)
    largest = restored.topk(top_k, dim=1).values
    assert torch.equal(largest, logits.topk(top_k, dim=1).values)
    expected = logits.softmax(1).topk(top_k, dim=1).values
    assert torch.allclose(restored.softmax(1).topk(top_k, dim=1).values, expected, atol=1e-6)


def test_a_cache_of_the_largest_restores_them_and_the_rest(tmp_path):
    cache = TeacherCache(tmp_path, num_images=2, num_classes=4, top_k=2)
    logits = torch.tensor([[0., 5., 1., 4.], [3., 0., 2., -1.]])
    found = cache.logits(samples(1, 0), lambda: logits)
    assert torch.equal(found, spread_rest(*(
        (kept.half().float() if kept.is_floating_point() else kept) for kept in largest_and_rest(logits, 2)), 4))
    assert torch.equal(cache.logits(samples(0, 1), never), found[[1, 0]])


# --- what is kept ---

def test_a_view_is_asked_for_once_and_what_is_used_is_rounded_to_float16_from_the_first_time_on(cache):
    teacher = Teacher()
    first = cache.logits(*teacher.about(4, 1))
    assert (cache.was_asked, teacher.num_asked) == (True, 1)
    assert first.dtype == torch.float32
    assert torch.equal(first, torch.tensor([[4, 8, 0.1], [1, 2, 0.1]]).half().float())
    assert torch.equal(cache.logits(samples(1, 4), never), first[[1, 0]])
    assert not cache.was_asked
    cache.view = 1
    cache.logits(*teacher.about(4, 1))
    assert teacher.num_asked == 2


def test_where_a_row_is_missing_the_whole_batch_is_asked_and_rows_that_are_there_stay(cache):
    cache.logits(samples(0, 1), lambda: torch.ones(2, 3))
    found = cache.logits(samples(1, 2), lambda: torch.full((2, 3), 7.))
    assert found.tolist() == [[1., 1., 1.], [7., 7., 7.]]
    assert cache.logits(samples(0, 1, 2), never).tolist() == [[1.] * 3, [1.] * 3, [7.] * 3]


def test_an_image_that_is_in_a_batch_twice_has_one_row(cache):
    found = cache.logits(samples(1, 1), lambda: torch.tensor([[1.] * 3, [2.] * 3]))
    assert torch.equal(cache.logits(samples(1, 1), never), found)


def test_logits_of_zeros_are_logits(cache):
    cache.logits(samples(0), lambda: torch.zeros(1, 3))
    assert cache.logits(samples(0), never).tolist() == [[0., 0., 0.]]


def test_another_process_reads_what_one_has_written(cache, tmp_path):
    other = TeacherCache(tmp_path, num_images=5, num_classes=3, top_k=None)
    teacher = Teacher()
    other.logits(*teacher.about(0))  # both have the file open
    found = cache.logits(*teacher.about(3, 2))
    assert torch.equal(other.logits(samples(3, 2), never), found)


def test_a_row_that_is_torn_is_asked_for_again(cache, tmp_path):
    teacher = Teacher()
    found = cache.logits(*teacher.about(2, 3))
    file = tmp_path / 'view_0.bin'
    content = bytearray(file.read_bytes())
    content[2 * 10 + 4] ^= 1  # a row is a mark of 4 bytes and 3 logits of 2
    file.write_bytes(content)
    again = TeacherCache(tmp_path, num_images=5, num_classes=3, top_k=None)
    assert torch.equal(again.logits(*teacher.about(2, 3)), found)
    assert teacher.num_asked == 2


def test_half_precision_is_kept_as_it_is(cache):
    logits = torch.tensor([[1.5, -3., 0.25]], dtype=torch.bfloat16)
    assert cache.logits(samples(0), lambda: logits).tolist() == [[1.5, -3., 0.25]]


@pytest.mark.parametrize('value', [1e5, math.nan])
def test_what_float16_cannot_hold_is_refused(cache, value):
    with pytest.raises(ValueError, match='the teacher has logits between .*teacher_cache keeps finite numbers'):
        cache.logits(samples(0), lambda: torch.tensor([[0., 1., value]]))


def test_a_disk_without_room_is_refused_before_anything_is_mapped(cache, monkeypatch):
    monkeypatch.setattr(teacher_cache.shutil, 'disk_usage', lambda _: SimpleNamespace(free=49))
    with pytest.raises(OSError, match="view 0 of the teacher's logits needs 50 more bytes .* 49 are free; make room"):
        cache.logits(samples(0), lambda: torch.zeros(1, 3))


@pytest.mark.parametrize('is_full, free', [(False, 8191), (True, 0)])
def test_of_a_file_that_is_there_the_rows_that_are_not_still_need_room(tmp_path, monkeypatch, is_full, free):
    """A run that goes on finds a file of its whole size, which takes the room of its rows alone."""
    size = 1024 * (4 + 2 * 2)
    with open(tmp_path / 'view_0.bin', 'wb') as file:
        file.write(bytes(size) if is_full else b'')
        file.truncate(size)
    monkeypatch.setattr(teacher_cache.shutil, 'disk_usage', lambda _: SimpleNamespace(free=free))
    again = TeacherCache(tmp_path, num_images=1024, num_classes=2, top_k=None)
    if is_full:
        assert len(again.missing()) == 1024
    else:
        with pytest.raises(OSError, match=f'needs {size} more bytes .* {free} are free'):
            again.missing()


def test_a_file_takes_two_bytes_a_logit(cache, tmp_path):
    cache.logits(*Teacher().about(0))
    assert (tmp_path / 'view_0.bin').stat().st_size == 5 * (4 + 3 * 2)
