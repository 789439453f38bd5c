import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from picture_toys import make_selection

from mmamd.selection.choice import replay
from mmamd.structures import CandidateFamily, Cost, Selection
from mmamd.visualization import read_run, write_report
from mmamd.visualization.report import report_html


class Page(HTMLParser):
    """Tags with their attributes, rows of the tables, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.rows, self.text, self._cell = [], [], '', False
        self.around, self._open = [], []  # tables and pictures, each with the classes of what it lies in; those now
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ('table', 'picture', 'pre'):
            self.around.append((tag, sum(self._open, [])))
        if tag in ('div', 'section', 'figure', 'details'):
            self._open.append((dict(attrs).get('class') or '').split())
        if tag == 'tr':
            self.rows.append([])
        self._cell = tag in ('td', 'th')

    def handle_endtag(self, tag):
        self._cell = False
        if tag in ('div', 'section', 'figure', 'details'):
            self._open.pop()

    def handle_data(self, data):
        self.text += data.strip('\n')
        if self._cell:
            self.rows[-1].append(data)


@pytest.fixture(scope='module')
def page(finished_run):
    return Page((finished_run / 'report.html').read_text(encoding='utf-8'))


def report_of(work_dir):
    return Page(report_html(read_run(work_dir)))


def test_what_is_wider_than_a_phone_scrolls_in_a_frame_of_its_own(page, finished_run):
    tags = [tag for tag, _ in page.around]
    assert tags.count('table') == 3 and tags.count('picture') >= 6  # networks, times, costs
    assert not [(tag, classes) for tag, classes in page.around if tag != 'pre' and 'wide' not in classes]
    style = (finished_run / 'report.html').read_text().split('</style>')[0]
    assert '.wide { overflow-x: auto; }' in style and re.search(r'^pre { overflow-x: auto', style, re.MULTILINE)


def test_the_table_holds_every_network_with_its_cost_and_its_performances(page):
    rows = page.rows[:6]
    assert rows[0] == ['Network', 'Scale', 'MACs', 'of all', 'Parameters', 'Held out, %', 'npsd', 'Test, %']
    names, scales, macs, shares, params, held_out, npsd, test = zip(*rows[1:], strict=True)
    assert names == ('teacher', 'assistant', 'candidate', 'student, shared weights', 'student, distilled')
    assert scales == ('1.00', '0.75', '0.50', '0.25', '0.25')
    assert macs == ('1.000 k', '750', '500', '250', '250')
    assert shares == ('100.0%', '75.0%', '50.0%', '25.0%', '25.0%')
    assert params == ('100', '80', '60', '40', '40')
    assert [text[:5] for text in held_out] == ['80.00', '76.00', '70.00', '60.00', '\u2013']
    # -(0.80 - 0.76) / 0.25 and -(0.80 - 0.70) / 0.5
    assert npsd == ('\u2013', '-0.1600', '-0.2000', '\u2013', '\u2013')
    assert test == ('70.00', '66.00', '60.00', '50.00', '63.00')


@pytest.mark.parametrize('num_images, expected', [(2048, 1), (0, 0)], ids=['with batch norm', 'without'])
def test_it_says_on_how_many_images_batch_norm_statistics_were_found(work_dir, num_images, expected):
    summary = json.loads((work_dir / 'summary.json').read_text())
    (work_dir / 'summary.json').write_text(json.dumps({**summary, 'recalibration_images': num_images}))
    text = report_of(work_dir).text
    assert text.count('batch norm statistics of its own, found on 2,048 training images') == expected
    assert text.count('batch norm') == expected


def test_the_record_of_the_run_is_there(page):
    for fact in ("tools/train.py a.py --work-dir 'a & b'", 'abc123', 'torch 2.12', 'train: 1,234 images',
                 'all stages', '1 min 50 s'):
        assert fact in page.text, fact


def test_warnings_of_the_selection_are_shown(finished_run, page):
    warnings = read_run(finished_run).selections['select'].warnings
    assert warnings
    for warning in warnings:
        assert warning[1:] in page.text


def test_what_was_timed_is_a_table_a_picture_and_a_tile_and_a_loss_stands_out(page):
    header, *rows = page.rows[6:11]
    assert header == ['Network', 'Runtime', 'Precision', 'File', 'Batch 1, ms', 'Batch 64, ms', 'Points to float32']
    assert rows[0] == ['teacher', 'torch', 'float32', '343 MB', '40.0 (39.0 to 42.0)', '1280 (1248 to 1344)']
    assert rows[3][:4] == ['student', 'ONNX Runtime', 'int8', '9.1 MB'] and rows[3][-1] == '-3.00 \xb1 0.50'
    assert 'Latency by ONNX Runtime, batch 120 \u2192 4 ms5.0 times faster' in page.text
    loss = 'The student in int8 has lost something.'
    assert loss in page.text and 'On cpu (a processor).' in page.text
    assert [a for tag, a in page.tags if a.get('id') == 'latency']


def test_what_a_user_wrote_is_text_and_no_markup(page):
    assert '<script>alert("teacher")</script>.pth' in page.text
    assert 'script' not in {tag for tag, _ in page.tags}


def test_the_file_fetches_nothing(page):
    for tag, attributes in page.tags:
        for name in ('src', 'srcset', 'href', 'data', 'action'):
            assert attributes.get(name, 'data:').startswith('data:'), (tag, attributes[name][:80])
        assert 'url(' not in attributes.get('style', '')
    policy = next(a['content'] for tag, a in page.tags if a.get('http-equiv') == 'Content-Security-Policy')
    assert policy.startswith("default-src 'none'")


def test_every_picture_is_there_for_a_light_and_for_a_dark_page(page):
    light = [a for tag, a in page.tags if tag == 'img']
    dark = [a for tag, a in page.tags if tag == 'source']
    assert len(light) == len(dark) == 8
    for image, source in zip(light, dark, strict=True):
        assert source['media'] == '(prefers-color-scheme: dark)'
        for uri, paper in ((image['src'], b'#ffffff'), (source['srcset'], b'#16191d')):
            svg = base64.b64decode(uri.removeprefix('data:image/svg+xml;base64,'))
            assert svg.startswith(b'<?xml') and paper in svg.lower()
            assert not re.search(rb'href="(?!#|data:)', svg)
        assert image['alt'] and int(image['width']) > 300


def test_an_unfinished_run_is_reported_as_far_as_it_is(work_dir, unfinish):
    unfinish(work_dir, 'select', 'student', 'export', interrupted='joint')
    page = report_of(work_dir)
    assert 'This run is not finished; it has come to the stage joint.' in page.text
    assert 'no network has been chosen yet' in page.text
    assert page.rows[2][:3] == ['candidate', '0.75', '750'] and page.rows[2][5:] == ['\u2013'] * 2


def test_a_run_that_has_just_begun_has_a_report_too(tmp_path):
    (tmp_path / 'stages.json').write_text('{"format": 2, "seed": 1, "stages": {}}')
    write_report(read_run(tmp_path), tmp_path / 'out' / 'report.html')
    assert 'This run is not finished' in (tmp_path / 'out' / 'report.html').read_text()


def test_the_report_of_the_same_run_is_the_same_file(finished_run):
    assert report_html(read_run(finished_run)) == (finished_run / 'report.html').read_text(encoding='utf-8')


def test_a_reference_that_is_not_the_teacher_is_not_written_into_the_teachers_line(work_dir):
    path = work_dir / 'select' / 'selection.json'
    selection = Selection.load(path)
    replace(selection, reference=replace(selection.reference, name='full')).save(path)
    assert report_of(work_dir).rows[1][5] == '\u2013'


def test_a_run_that_is_judging_test_images_is_reported_without_the_costs_of_its_candidates(work_dir, unfinish):
    unfinish(work_dir, 'student', 'export', interrupted='select')
    (work_dir / 'select' / 'judged.json').unlink()
    assert report_of(work_dir).rows[2][:5] == ['assistant', '0.75'] + ['\u2013'] * 3


@pytest.mark.slow
def test_the_lead_names_the_method_and_a_student_of_another_architecture(work_dir, configure):
    assert 'compressed to 25.0% of its MACs, by the method AMD.' in report_of(work_dir).text
    configure(work_dir, **{'compression.student_architecture': dict(backbone=dict(type='mmamd.WideResNet'))})
    assert '25.0% of its MACs, as mmamd.WideResNet, by the method AMD.' in report_of(work_dir).text


def test_scales_of_a_backbone_are_called_so_and_costs_are_of_the_whole_network(work_dir):
    family = CandidateFamily.load(work_dir / 'nest' / 'family.json')
    replace(family, unscaled=Cost(10, 5)).save(work_dir / 'nest' / 'family.json')
    text = report_of(work_dir).text
    assert 'compressed to 25.0% of its backbone MACs, by the method AMD.' in text
    assert ("The scale is the fraction of the teacher's backbone MACs that was asked for. MACs and parameters are those"
            ' of the whole network, heads included.') in text


def test_the_tiles_say_what_was_chosen_and_what_it_cost(page):
    for text in ('Teacher assistant0.75of 2 candidates, by the rule npsd', 'Arithmetic of the run110.1 G MACs'
                 'in 2 trainings'):
        assert text in page.text


def test_a_choice_by_hand_is_called_so(work_dir):
    replay(make_selection(), 'manual', scale=0.5).save(work_dir / 'select' / 'selection.json')
    page = report_of(work_dir)
    assert 'Teacher assistant0.50of 2 candidates, by hand' in page.text
    assert page.rows[0][6] == 'npsd' and page.rows[3][0] == 'assistant'


# --- other methods ---

def test_refit_candidates_have_weights_of_their_own(run_by):
    page = report_of(run_by('AMD from refit'))
    assert page.rows[0][6] == 'npsd'
    assert [row[0] for row in page.rows[1:6]] == ['teacher', 'assistant', 'candidate', 'student, before distillation',
                                                  'student, distilled']
    for text in ('Each candidate has weights of its own; the student', 'by the rule npsd_cost', 'in 1 training',
                 'What the refit makes good: refit_final'):
        assert text in page.text, text
    assert 'share their weights' not in page.text
    texts = [a['alt'] for tag, a in page.tags if tag == 'img']
    alt, = (text for text in texts if text.startswith('What the refit makes good: refit.'))
    assert alt.endswith('(lower is better).')


def test_plain_distillation_has_a_teacher_and_a_student_and_no_candidates(run_by, unfinish):
    folder = run_by('KD')
    page = report_of(folder)
    assert page.rows[0] == ['Network', 'Scale', 'MACs', 'of all', 'Parameters', 'Held out, %', 'Test, %']
    assert [row[0] for row in page.rows[1:3]] == ['teacher', 'student, distilled'] and page.rows[3][0] == 'Stage'
    assert 'by the method KD' in page.text and 'choices are made' not in page.text
    assert 'the method KD chooses among no networks' in page.text
    assert 'assistant' not in page.text and 'selection' not in {a.get('id') for _, a in page.tags}
    unfinish(folder, 'export', interrupted='student')
    assert [row[0] for row in report_of(folder).rows[1:3]] == ['teacher', 'student, distilled']


def test_students_of_several_assistants_are_told_apart_by_name(run_by):
    page = report_of(run_by('MMD'))
    assert page.rows[0] == ['Network', 'Scale', 'MACs', 'of all', 'Parameters', 'Held out, %', 'best', 'Test, %']
    assert [[cell[:6] for cell in row[1:]] for row in page.rows[2:5]] == [
        ['0.25', '250', '25.0%', '40', '73.00 ', '+0.730', '63.00'],
        ['0.25', '250', '25.0%', '40', '70.00 ', '+0.700', '60.00'],
        ['0.25', '250', '25.0%', '40', '\u2013', '\u2013', '63.00']]
    assert [row[0] for row in page.rows[1:5]] == ['teacher', 'student (student_0.75)', 'candidate (student_0.50)',
                                                  'student, distilled']
    for text in ('by the method MMD', 'Choice of the student', 'Studentstudent_0.75of 2 candidates, by the rule best',
                 'in 4 trainings'):
        assert text in page.text, text
    assert 'Teacher assistant' not in page.text
    assert {'selection', 'loss_assistant_0.50', 'loss_student_0.75'} <= {a.get('id') for _, a in page.tags}


def test_networks_that_are_trained_apart_are_not_listed_as_candidates_before_they_are_judged(run_by, unfinish):
    folder = run_by('MMD')
    unfinish(folder, 'select', 'export', interrupted='student_0.75')
    page = report_of(folder)
    assert [row[0] for row in page.rows[1:3]] == ['teacher', 'student, distilled'] and page.rows[3][0] == 'Stage'
    assert 'no network has been chosen yet' in page.text
