"""Images are found as people keep them."""

import pytest

from mmamd.cli.data import find_data, in_order_of, written_lists


def images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def parts_of(data):
    return {split: (part.prefix, part.num) for split, part in data.parts.items()}


@pytest.mark.parametrize('names, parts', [
    (['a/1.jpg', 'a/2.PNG', 'b/x/3.jpeg', 'b/notes.txt'], {'train': ('', 3)}),
    (['train/a/1.jpg', 'train/b/1.jpg', 'test/a/2.jpg', 'test/b/2.jpg'], {'train': ('train', 2), 'test': ('test', 2)}),
    # As ImageNet has it: there is nothing but val to test on.
    (['train/a/1.jpg', 'train/b/1.jpg', 'val/a/2.jpg', 'val/b/2.jpg'], {'train': ('train', 2), 'test': ('val', 2)}),
    (['training/a/1.jpg', 'training/b/1.jpg', 'valid/a/2.jpg', 'valid/b/2.jpg', 'test/a/2.jpg', 'test/b/3.jpg'],
     {'train': ('training', 2), 'val': ('valid', 2), 'test': ('test', 2)})])
def test_folders_of_classes(names, parts, tmp_path):
    images(tmp_path, *names)
    data = find_data(str(tmp_path))
    assert data.classes == ('a', 'b') and data.smallest == 1 and parts_of(data) == parts


@pytest.mark.parametrize('text', ['path,label\na/1.jpg,cat\nb.jpg,dog\n', 'label,file\ncat,a/1.jpg\ndog,b.jpg\n',
                                  'a/1.jpg,cat\nb.jpg,dog\n'])
def test_a_csv_file_is_written_as_a_list_of_the_host(text, tmp_path):
    images(tmp_path / 'images', 'a/1.jpg', 'b.jpg')
    (tmp_path / 'images' / 'train.csv').write_text(text)
    for path in (tmp_path / 'images', tmp_path / 'images' / 'train.csv'):
        data = written_lists(find_data(str(path)), tmp_path / 'lists')
        assert data.parts['train'].ann_file == str(tmp_path / 'lists' / 'train.txt')
        assert (tmp_path / 'lists' / 'train.txt').read_text() == 'a/1.jpg 0\nb.jpg 1\n'
        assert (tmp_path / 'lists' / 'classes.txt').read_text() == 'cat\ndog\n'


def test_a_list_of_numbers_keeps_them(tmp_path):
    images(tmp_path, 'my image.jpg', *(f'{i}.jpg' for i in range(11)))
    (tmp_path / 'train.txt').write_text('my image.jpg 3\n' + ''.join(f'{i}.jpg {i}\n' for i in range(11)))
    data = written_lists(find_data(str(tmp_path)), tmp_path / 'lists')
    assert (tmp_path / 'lists' / 'train.txt').read_text() == (tmp_path / 'train.txt').read_text()
    assert data.classes[:3] == ('0', '1', '2')


def test_labels_follow_a_teacher_that_has_the_classes_in_another_order(tmp_path):
    images(tmp_path, 'train/a/1.jpg', 'train/b/2.jpg', 'test/a/3.jpg', 'test/b/4.jpg')
    data, said = in_order_of(find_data(str(tmp_path)), ('b', 'a'), 2)
    assert "0 is 'b' there and 'a' here" in said
    written_lists(data, tmp_path / 'lists')
    assert (tmp_path / 'lists' / 'train.txt').read_text() == 'train/a/1.jpg 1\ntrain/b/2.jpg 0\n'
    assert (tmp_path / 'lists' / 'test.txt').read_text() == 'test/a/3.jpg 1\ntest/b/4.jpg 0\n'


@pytest.mark.parametrize('classes, said', [(None, None), (('a', 'b'), None), (('x', 'b'), 'taken to be in the same')])
def test_folders_stay_as_they_are_where_nothing_says_otherwise(classes, said, tmp_path):
    images(tmp_path, 'a/1.jpg', 'b/2.jpg')
    found = find_data(str(tmp_path))
    data, text = in_order_of(found, classes, 2)
    assert data == found and (text is said or said in text)


def test_a_folder_without_images_is_no_class_to_the_host_either(tmp_path):
    images(tmp_path, 'train/a/1.jpg', 'train/b/2.jpg', 'test/a/3.jpg', 'test/b/4.jpg', 'train/.checkpoints/notes.txt')
    data = written_lists(find_data(str(tmp_path)), tmp_path / 'lists')
    assert data.classes == ('a', 'b') and parts_of(data) == {'train': ('', 2), 'test': ('', 2)}
    assert (tmp_path / 'lists' / 'train.txt').read_text() == 'train/a/1.jpg 0\ntrain/b/2.jpg 1\n'
    assert (tmp_path / 'lists' / 'test.txt').read_text() == 'test/a/3.jpg 0\ntest/b/4.jpg 1\n'


def test_numbers_that_are_names_of_the_teachers_classes_are_these(tmp_path):
    names = sorted(str(i) for i in range(11))  # 0, 1, 10, 2, ...: the teacher's folders
    images(tmp_path, *(f'{i}.jpg' for i in range(11)))
    (tmp_path / 'train.csv').write_text('path,label\n' + ''.join(f'{i}.jpg,{i}\n' for i in range(11)))
    data, _ = in_order_of(find_data(str(tmp_path)), names, 11)
    written_lists(data, tmp_path / 'lists')
    assert '10.jpg 2\n' in (tmp_path / 'lists' / 'train.txt').read_text()


def test_numbers_from_1_are_refused_where_the_teacher_names_its_classes(tmp_path):
    images(tmp_path, '1.jpg', '2.jpg')
    (tmp_path / 'train.csv').write_text('path,label\n1.jpg,1\n2.jpg,2\n')
    with pytest.raises(ValueError, match='the list has the class 2, and the numbers of the 2 classes .* are 0 to 1'):
        in_order_of(find_data(str(tmp_path)), ('cat', 'dog'), 2)


def test_test_images_elsewhere_leave_those_to_choose_by(tmp_path):
    images(tmp_path / 'data', 'train/a/1.jpg', 'val/a/2.jpg')
    images(tmp_path / 'more', 'a/3.jpg')
    data = find_data(str(tmp_path / 'data'), str(tmp_path / 'more'))
    assert parts_of(data) == {'train': ('train', 1), 'val': ('val', 1), 'test': (str(tmp_path / 'more'), 1)}


def test_paths_of_a_list_are_relative_to_its_own_folder(tmp_path):
    images(tmp_path / 'data', '1.jpg')
    images(tmp_path / 'more', '2.jpg')
    for folder, name in (('data', '1.jpg'), ('more', '2.jpg')):
        (tmp_path / folder / 'list.csv').write_text(f'path,label\n{name},a\n')
    data = find_data(str(tmp_path / 'data' / 'list.csv'), str(tmp_path / 'more' / 'list.csv'))
    assert data.parts['test'].rows == ((str(tmp_path / 'more' / '2.jpg'), 'a'),)
    (tmp_path / 'more' / '2.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='more/list.csv lists .*2.jpg, which is not there'):
        find_data(str(tmp_path / 'data' / 'list.csv'), str(tmp_path / 'more' / 'list.csv'))


def test_another_number_of_classes_than_the_teachers_is_refused(tmp_path):
    images(tmp_path, 'a/1.jpg', 'b/2.jpg')
    with pytest.raises(ValueError, match=r'the images have 2 classes \(a, b, ...\) and the teacher 10; give'):
        in_order_of(find_data(str(tmp_path)), None, 10)


@pytest.mark.parametrize('names, listed, error, message', [
    ([], None, FileNotFoundError, 'is not there; expected a folder with a folder of images a class'),
    (['a/notes.txt'], None, ValueError, 'has no folder with images; expected CLASS/'),
    (['train/a/1.jpg', 'train/b/1.jpg', 'test/a/1.jpg'], None, ValueError, 'test has other classes than .*train: b'),
    (['a/1.jpg'], 'a/1.jpg,cat\na/2.jpg,dog\n', FileNotFoundError,
     'train.csv lists a/2.jpg, which is not there'),
    (['a/1.jpg'], 'a/1.jpg\n', ValueError, 'is no list of images; expected a path and a class a line')])
def test_what_is_no_data_is_refused(names, listed, error, message, tmp_path):
    images(tmp_path / 'data', *names)
    if listed:
        (tmp_path / 'data' / 'train.csv').write_text(listed)
    with pytest.raises(error, match=message):
        find_data(str(tmp_path / 'data'))
