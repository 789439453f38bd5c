"""A run of several students: their rows, their picture, and how a size was found."""

import json

import pytest

from mmamd.selection.size_text import size_sentences
from mmamd.structures import Cost
from mmamd.visualization import make_pictures, read_run
from mmamd.visualization.report import _costs, _lead, _table, _tiles, _warnings
from mmamd.visualization.students import Student
from mmamd.visualization.students_plot import students_figure

STUDENTS = [Student(0.25, Cost(250, 40), 0.6), Student(0.5, Cost(500, 60), 0.65)]


@pytest.fixture
def family(work_dir, configure):
    """Folder of a run of two students, 0.25 and 0.50, for which one table was chosen from twice."""
    configure(work_dir, **{'compression.student_scale': [0.25, 0.5]})
    (work_dir / 'select').rename(work_dir / 'select_0.25')
    chosen = json.loads((work_dir / 'select_0.25' / 'selection.json').read_text())
    (work_dir / 'select_0.50').mkdir()
    for name in ('judged.json', 'networks.json'):
        (work_dir / 'select_0.50' / name).write_text((work_dir / 'select_0.25' / name).read_text())
    (work_dir / 'select_0.50' / 'selection.json').write_text(json.dumps({**chosen, 'above': 0.5, 'scores': {
        'npsd': [None, None, chosen['scores']['npsd'][2]]}}))
    delivered = ['student_0.25', 'student_0.50']
    state = json.loads((work_dir / 'stages.json').read_text())
    stages = {('select_0.25' if name == 'select' else name): entry for name, entry in state['stages'].items()}
    stages['select_0.50'] = stages['select_0.25']
    (work_dir / 'stages.json').write_text(json.dumps({**state, 'delivered': delivered, 'stages': stages}))
    summary = json.loads((work_dir / 'summary.json').read_text())
    students = [{'name': name, 'scale': each.scale, 'value': each.value, 'macs': each.cost.macs,
                 'params': each.cost.params, 'path': f'student/{name}/student.pth',
                 'cost': {'macs': 5e9, 'seconds': 1.}}
                for name, each in zip(delivered, STUDENTS, strict=True)]
    (work_dir / 'summary.json').write_text(json.dumps({**summary, 'students': students, 'student': students[0]}))
    return work_dir


def test_the_report_has_one_table_with_a_row_for_each_student(family):
    run = read_run(family)
    rows = [row['cells'] for row in _table(run)['rows']]
    assert [row[0] for row in rows] == ['teacher', 'assistant of 0.25, 0.50', 'student, shared weights',
                                        'student, shared weights', 'student, distilled', 'student, distilled']
    assert [(row[1], row[-1]) for row in rows[-2:]] == [('0.25', '60.00'), ('0.50', '65.00')]
    assert _tiles(run)[0]['value'] == '1 k \u2192 250, 500'
    assert 'compressed to 25.0% and 50.0% of its MACs' in _lead(run)[0]


def test_what_each_student_costs_is_said(family):
    assert _costs(read_run(family))['notes'] == [
        'Of what was spent falls to each student, with its part of what they share: 0.25: 5 G MACs, 1.0 s; '
        '0.50: 5 G MACs, 1.0 s.']


def test_what_holds_of_several_choices_is_said_once(family):
    run = read_run(family)
    texts = {text for selection in run.selections.values() for text in selection.warnings}
    assert texts and len([text for text in _warnings(run) if text.startswith('select_')]) == len(texts)
    assert all(text.startswith('select_0.25, select_0.50: ') for text in _warnings(run) if text.startswith('select_'))


def test_the_students_have_a_picture_of_their_own(family):
    pictures, missing = make_pictures(read_run(family))
    assert missing == {} and pictures[0].name == 'students'
    titles = [picture.title for picture in pictures if picture.kind == 'selection']
    assert titles == [f'Choice of the teacher assistant, for the student {scale}' for scale in ('0.25', '0.50')]
    assert pictures[0].draw().axes[0].get_xlabel() == 'MACs of an image'


def test_students_that_were_timed_stand_over_their_times_too(family):
    rows = [dict(network=f'student {scale}', runtime=runtime, precision='float32', bytes=1, comparison=None,
                 timings=[dict(batch=1, median=median, low=1., high=3.), dict(batch=64, median=99., low=9., high=100.)])
        for scale, median in (('0.25', 1.5), ('0.50', 2.)) for runtime in ('torch', 'ONNX Runtime')]
    rows.append({**rows[1], 'network': 'teacher', 'timings': [dict(batch=1, median=6., low=1., high=9.)]})
    found = dict(networks=rows, device='cpu', processor='toy', threads=1, versions={}, notes=[], warnings=[])
    (family / 'export' / 'bench.json').write_text(json.dumps(found))
    assert [student.seconds for student in read_run(family).students] == [0.0015, 0.002]
    tile = _tiles(read_run(family))[-1]
    assert (tile['value'], tile['note']) == ('6 \u2192 1.5, 2 ms', '4.0, 3.0 times faster')
    picture = make_pictures(read_run(family))[0][0]
    assert len(picture.draw().axes) == 2 and 'over the time of one by ONNX Runtime' in picture.caption


def test_students_stand_over_their_macs_and_over_their_times_where_they_were_measured():
    axes, = students_figure(STUDENTS, Cost(1000, 100), 0.7).axes
    line = next(each for each in axes.lines if each.get_marker() == '*')
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([250, 500], [60., 65.])
    assert [text.get_text() for text in axes.texts] == ['0.25: 60.00', '0.50: 65.00']
    timed = [Student(each.scale, each.cost, each.value, seconds=each.scale / 100) for each in STUDENTS]
    _, by_time = students_figure(timed, Cost(1000, 100), 0.7).axes
    line = next(each for each in by_time.lines if each.get_marker() == '*')
    assert (line.get_xdata().tolist(), by_time.get_xlabel()) == ([2.5, 5.], 'Time (ms)')


def test_it_is_said_how_a_size_was_found():
    assert size_sentences({}) == []
    kept = dict(keep=0.98, is_met=True, tried=[dict(scale=0.2, kept=0.97), dict(scale=0.3, kept=0.985)])
    assert size_sentences({'size': kept}) == [
        "The student is to keep 98.0% of the teacher's held-out performance: 0.20 keeps 97.0%, 0.30 keeps 98.5%."]
    timed = dict(latency='2ms', batch_size=1, runtime='torch', device='cpu', threads=2, is_met=True,
                 tried=[dict(scale=0.2, seconds=0.0019)])
    assert size_sentences({'size': timed}) == [
        'The size is the largest of at most 2ms: 0.20 takes 1.9 ms (median; batch 1, torch, cpu, threads 2).']
