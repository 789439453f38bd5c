import pytest
from matplotlib.figure import Figure
from picture_toys import make_refitted

from mmamd.visualization import DARK, LIGHT, PICTURES, make_pictures, read_run
from mmamd.visualization.search_pictures import OF_SEARCHES

OF_SOME_RUNS = {'distance', 'terms', 'students', *OF_SEARCHES}  # with a ScaleKD term, several students, a search
ASKED = {'latency'}  # for, by somebody
ALL = ['selection', 'examples', 'importance', 'kept', 'loss_joint', 'loss_student', 'latency', 'cost']


def test_a_finished_run_has_every_picture(finished_run):
    pictures, missing = make_pictures(read_run(finished_run))
    assert ([picture.name for picture in pictures], missing) == (ALL, {})
    assert {picture.kind for picture in pictures} == set(PICTURES) - {'refit', *OF_SOME_RUNS}  # it has neither
    for picture in pictures:
        assert picture.title and picture.caption.endswith('.')
        for style in (LIGHT, DARK):
            figure = picture.draw(style=style)
            assert isinstance(figure, Figure) and figure.get_facecolor()[:3] != (0, 0, 0)


@pytest.mark.parametrize('forgotten, names', [
    (['export'], ['selection', 'importance', 'kept', 'loss_joint', 'loss_student', 'cost', 'examples']),
    (['select', 'student', 'export'], ['importance', 'kept', 'loss_joint', 'cost', 'examples'])])
def test_an_unfinished_run_has_the_pictures_of_what_is_there(work_dir, unfinish, forgotten, names):
    unfinish(work_dir, *forgotten, interrupted='joint')
    found, missing = make_pictures(read_run(work_dir))
    assert {picture.name for picture in found} == set(names)
    assert set(missing) == (set() if 'selection' in names else {'selection'})


@pytest.mark.parametrize('method, missing', [
    ('KD', {'selection': 'the method KD chooses among no networks'}), ('MMD', {})])
def test_runs_by_other_methods_have_the_pictures_of_their_stages(run_by, method, missing):
    folder = run_by(method)
    pictures, reasons = make_pictures(read_run(folder))
    losses = [f'loss_{name.parent.name}' for name in folder.glob('*/20260101_000000')]
    assert sorted(picture.name for picture in pictures) == sorted(
        [name for name in PICTURES if name not in ('loss', 'refit', *OF_SOME_RUNS, *ASKED, *missing)] + losses)
    assert reasons == missing
    for picture in pictures:
        assert isinstance(picture.draw(style=LIGHT), Figure)


def test_a_run_that_goes_on_may_still_have_a_choice_before_it(work_dir, run_by, unfinish):
    for folder in (work_dir, run_by('KD')):
        unfinish(folder, 'select', 'export')
        assert make_pictures(read_run(folder))[1]['selection'] == 'no network has been chosen yet'


def test_pictures_say_what_a_stage_has_trained_and_what_was_chosen(work_dir, run_by):
    titles = {picture.name: picture.title for picture in make_pictures(read_run(work_dir))[0]}
    assert titles['loss_joint'] == 'Joint training of candidates: joint'
    assert titles['loss_student'] == 'Distillation: student'
    assert titles['selection'] == 'Choice of the teacher assistant'
    pictures = {picture.name: picture for picture in make_pictures(read_run(run_by('MMD')))[0]}
    assert pictures['loss_assistant_0.50'].title == 'Distillation: assistant_0.50'
    assert pictures['selection'].title == 'Choice of the student'
    assert pictures['selection'].caption.endswith('of each network; the best one is in a ring.')
    assert pictures['kept'].draw().axes[0].get_xlabel() == 'Scale\n(0.25: student, 1.00: teacher)'


def test_a_run_with_refits_has_a_picture_of_each(run_by, unfinish):
    folder = run_by('AMD from refit')
    pictures, missing = make_pictures(read_run(folder))
    assert missing == {}
    refits = {picture.name: picture for picture in pictures if picture.kind == 'refit'}
    assert {name: picture.title for name, picture in refits.items()} == {
        name: f'What the refit makes good: {name}' for name in ('refit', 'refit_final')}
    assert 'performance (accuracy/top1) on 1,000 held-out images' in refits['refit'].caption
    picture, = (picture for picture in make_pictures(read_run(run_by('KD from refit')))[0] if picture.kind == 'refit')
    assert picture.title == 'What the refit makes good'
    unfinish(folder, 'refit', 'select', 'refit_final', 'student', 'export')
    assert make_pictures(read_run(folder))[1]['refit'] == 'no refit has been done yet'


def test_a_refit_that_nobody_judged_is_described_without_performances(run_by):
    folder = run_by('KD from refit')
    make_refitted(is_judged=False).save(folder / 'refit' / 'refit.json')
    picture, = (picture for picture in make_pictures(read_run(folder))[0] if picture.kind == 'refit')
    assert 'held-out' not in picture.caption and 'How much each branch' in picture.caption


def test_a_method_that_refits_nothing_though_it_was_asked_to_is_said_so(work_dir, configure):
    configure(work_dir, **{'compression.refit': dict(num_images=768)})
    assert make_pictures(read_run(work_dir))[1] == {'refit': 'the method AMD refits no networks'}


def test_the_choice_of_the_cheapest_is_explained(run_by):
    picture = make_pictures(read_run(run_by('AMD from refit')))[0][0]
    assert ('In a ring is the smallest eligible candidate whose interval overlaps that of the largest score: a small '
            'assistant makes every epoch of the student cheaper.') in picture.caption
    assert any('student, before distillation' in text.get_text() for text in picture.draw().legends[0].get_texts())


def test_the_choice_shows_what_became_of_the_student_once_that_is_known(work_dir):
    picture = make_pictures(read_run(work_dir))[0][0]
    stars, = (line for line in picture.draw().axes[0].lines if line.get_label().startswith('distilled'))
    assert stars.get_xydata().tolist() == [[0.25, 0.63]]
    assert 'the star what the distillation has made of the student' in picture.caption
    (work_dir / 'summary.json').unlink()
    picture = make_pictures(read_run(work_dir))[0][0]
    assert not [line for line in picture.draw().axes[0].lines if line.get_label().startswith('distilled')]


def test_what_cannot_be_drawn_is_said_with_its_reason(tmp_path):
    (tmp_path / 'stages.json').write_text('{"format": 2, "seed": 1, "stages": {}}')
    pictures, missing = make_pictures(read_run(tmp_path))
    assert pictures == [] and set(missing) == set(PICTURES) - OF_SOME_RUNS - ASKED
    assert missing['importance'] == 'the stage score is not finished'
    assert 'LocalVisBackend' in missing['loss']


def test_examples_that_a_run_had_to_skip_give_the_reason(work_dir):
    (work_dir / 'export' / 'examples.json').write_text(
        '{"examples": [], "classes": null, "skipped": "predictions are no class scores"}')
    assert make_pictures(read_run(work_dir))[1] == {'examples': 'predictions are no class scores'}


def test_a_student_of_another_architecture_has_no_mark_among_the_units(work_dir, configure):
    configure(work_dir, **{'compression.student_architecture': dict(type='ImageClassifier')})
    pictures = {picture.name: picture for picture in make_pictures(read_run(work_dir))[0]}
    assert 'student' not in pictures['importance'].caption
    assert pictures['kept'].draw().axes[0].get_xlabel() == 'Scale\n(0.75: assistant, 1.00: teacher)'
