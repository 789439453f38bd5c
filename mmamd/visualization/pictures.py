"""All pictures of a run: what can be drawn from its files, how each is read, and what is missing for the others."""

from collections.abc import Callable
from functools import partial

from mmamd.selection.choice import CHEAPEST, MANUAL
from mmamd.selection.rules import known_as
from mmamd.structures import Selection
from mmamd.visualization.class_plot import class_figure
from mmamd.visualization.cost_plot import cost_figure
from mmamd.visualization.distance_plot import distance_figure
from mmamd.visualization.examples_plot import examples_figure, read_images
from mmamd.visualization.importance_plot import importance_figure
from mmamd.visualization.kept_plot import kept_figure
from mmamd.visualization.latency_plot import latency_figure
from mmamd.visualization.loss_plot import loss_figure
from mmamd.visualization.maps_plot import maps_figure
from mmamd.visualization.picture import Picture
from mmamd.visualization.refit_plot import Refitted, refit_figure
from mmamd.visualization.run_files import Run
from mmamd.visualization.scenes_plot import scenes_figure
from mmamd.visualization.search_pictures import OF_SEARCHES
from mmamd.visualization.selection_plot import OnTestImages, selection_figure
from mmamd.visualization.students_plot import students_figure


def make_pictures(run: Run) -> tuple[list[Picture], dict[str, str]]:
    """The pictures that a run's files allow, in the order of :data:`PICTURES`, and name -> why it cannot be drawn."""
    found = {name: make(run) for name, make in PICTURES.items()}
    return ([picture for made in found.values() if not isinstance(made, str) for picture in made],
            {name: made for name, made in found.items() if isinstance(made, str)})


# Each of these returns pictures, or in a sentence why there are none.

def _importance(run: Run) -> list[Picture] | str:
    if run.importance is None:
        return 'the stage score is not finished'
    family = run.family if run.is_student_a_candidate else None
    dots = ' The dots show what the student keeps.' if family is not None else ''
    measure = ('How strongly the loss of an image reacts to a unit' if run.importance.num_images else
               'How large the weights of a unit are')  # norms of weights take no images
    return [Picture('importance', 'importance', 'Importance of every unit',
                    f'{measure}, compared within its layer: a stronger colour (maps) or a higher place (curves) is '
                    f'more important.{dots}', partial(importance_figure, run.importance, family))]


def _refits(run: Run) -> list[Picture] | str:
    if run.config is not None and not run.config.compression.get('refit'):
        return []  # nobody has asked for one
    if run.of_kind('refit') or run.summary is None:
        several = len(run.of_kind('refit')) > 1
        return [Picture('refit', stage, 'What the refit makes good' + f': {stage}' * several, _how_refit(found),
                        partial(refit_figure, found, run.scale_of))
                for stage, found in run.refits.items()] or 'no refit has been done yet'
    return f'the method {run.method} refits no networks'


def _how_refit(found: Refitted) -> str:
    above = (f'Above, performance ({found.metric}) on {found.num_reported:,} held-out images when the networks were '
             'just cut and after the refit; below, how' if found.teacher is not None else 'How')
    return ('A network that has just been cut gets the last layer of each branch solved anew, by least squares and '
            f'without training, so that it says again what the teacher says. {above} much each branch, from the first '
            'layer to the last, misses of what it should say, before and after (lower is better).')


def _kept(run: Run) -> list[Picture] | str:
    if run.family is None:
        return 'the stage nest is not finished'
    return [Picture('kept', 'kept', 'What each candidate keeps',
                    'Units kept in each layer (row) at each scale (column). Candidates are nested, so numbers never '
                    'fall from left to right.',
                    partial(kept_figure, run.family, tuple(dict.fromkeys(
                        selection.winner.scale for selection in run.assistants.values())), run.is_student_a_candidate,
                            tuple(student.scale for student in run.students)))]


def _losses(run: Run) -> list[Picture] | str:
    pictures = [Picture('loss', f'loss_{stage}', _training_title(run, stage),
                        'Training loss over the steps, each term with its weight; lower is better.',
                        partial(loss_figure, losses)) for stage, losses in run.losses.items()]
    return pictures or ('no training has logged a loss to vis_data/scalars.json; a LocalVisBackend among the '
                        "visualizer's vis_backends writes that file")


def _distances(run: Run) -> list[Picture] | str:
    return [Picture('distance', f'distance_{stage}', f'What is left without the direct component: {stage}',
                    "How far the student's projected last stage is from the teacher's, each without its direct "
                    'component, as directions, mean over positions: 0 where they agree, 2 where they have nothing in '
                    'common. It is logged whether or not a view of its own (dfm) brings it down.',
                    partial(distance_figure, distances))
            for stage, distances in run.distances.items()]


def _terms(run: Run) -> list[Picture] | str:
    return [Picture('terms', f'{shown.name}_{stage}', f'{shown.title}: {stage}', shown.caption,
                    partial(maps_figure, shown)) for stage, several in run.shown.items() for shown in several]


def _training_title(run: Run, stage: str) -> str:
    of_kind = {'teacher': 'Training of the teacher', 'distpro': f'Training in which a process is searched: {stage}'}
    if run.stages[stage]['kind'] in of_kind:
        return of_kind[run.stages[stage]['kind']]
    return f'{"Joint training of candidates" if run.is_joint(stage) else "Distillation"}: {stage}'


def _selections(run: Run) -> list[Picture] | str:
    if not run.of_kind('select') and run.summary is not None:  # of a run that goes on, it may be still to come
        return f'the method {run.method} chooses among no networks'
    return [_selection(run, stage) for stage in run.selections] or 'no network has been chosen yet'


def _selection(run: Run, stage: str) -> Picture:
    selection, tested = run.selections[stage], _tested(run, stage)
    what = 'Choice of the student' if stage in run.delivered else 'Choice of the teacher assistant'
    line = '' if tested is None else (' The dotted line is the same on the test images, as far as networks were judged '
                                      'there, and the star what the distillation has made of the student.')
    return Picture('selection', stage.replace('select', 'selection'), what + _round_of(stage) + _for(run, stage),
                   _how_to_read(selection) + line,
                   partial(selection_figure, selection, run.scale_of, tested, has_student=run.is_smallest_student,
                           are_slices=run.are_slices(stage)))


def _tested(run: Run, stage: str) -> OnTestImages | None:
    """What is known on the test images beside a choice on the way to the students; None before the run is finished."""
    if run.summary is None or stage in run.delivered or not run.selections[stage].has_scales:
        return None
    return OnTestImages(
        run.summary['teacher']['value'],
        {row.name: row.test_value for row in run.rows(stage) if row.test_value is not None},
        {student.scale: student.value for student in run.students if run.student_of(stage) in ('', student.key)})


def _for(run: Run, stage: str) -> str:
    return f', for the student {run.student_of(stage)}' if run.student_of(stage) else ''


def _students(run: Run) -> list[Picture] | str:
    if len(run.students) < 2 or run.summary is None:
        return []  # one student is in the table
    timed = ', and over the time of one by ONNX Runtime' * all(each.seconds is not None for each in run.students)
    return [Picture('students', 'students', 'What the students do for what they cost',
                    f'Performance on the test images of each student over the MACs of an image{timed}; the teacher is '
                    'the dashed line.', partial(students_figure, run.students, run.family.teacher_cost,
                                                run.summary['teacher']['value']))]


def _how_to_read(selection: Selection) -> str:
    if selection.rule == MANUAL:
        return ('Performance on the held-out images over the scale (left axis), and NPSD (right axis). The candidate '
                'in the ring was named in the config.')
    if not known_as(selection.rule).by_scale:
        return 'Performance on the held-out images of each network; the best one is in a ring.'
    ring = 'The eligible candidate of the largest score is in a ring.'
    if selection.rule in CHEAPEST and selection.reference.resampled:
        ring = ('In a ring is the smallest eligible candidate whose interval overlaps that of the largest score: a '
                'small assistant makes every epoch of the student cheaper.')
    return ('Performance on the held-out images over the scale (left axis), and the score of the rule (right axis). '
            + ring)


def _cost(run: Run) -> list[Picture] | str:
    if not run.stages:
        return 'no stage has begun'
    seconds = {name: stage['seconds'] for name, stage in run.stages.items()}
    unfinished = frozenset(name for name in run.stages if not run.is_finished(name))
    return [Picture('cost', 'cost', 'Cost of each stage',
                    'Wall time of each stage, without the pauses after which an interrupted run was continued.' +
                    (' Planned arithmetic: forward passes count once a MAC, backward passes twice.'
                     if run.planned_macs else ''),
                    partial(cost_figure, seconds, run.planned_macs, unfinished))]


def _latency(run: Run) -> list[Picture] | str:
    if run.bench is None:  # a run times nothing by itself
        return []
    return [Picture('latency', 'latency', 'How long a call takes',
                    f'Median time of a call, and its quartiles, by each runtime, on {run.bench["processor"]}; shorter '
                    'is faster.', partial(latency_figure, run.bench['networks']))]


def _examples(run: Run) -> list[Picture] | str:
    if run.examples is None:
        return 'the stage export has written no examples'
    if run.scenes is not None:
        return [*_classes(run), Picture('examples', 'scenes', 'Networks of the run on test scenes',
                        'Each pixel in the colour of its class, as it is labelled and as each network says; pixels '
                        'without a label are black.', partial(scenes_figure, run.scenes, run.work_dir / 'export'))]
    if run.examples.skipped is not None:
        return run.examples.skipped
    return [Picture('examples', 'examples', 'Networks of the run on test images',
                    'Above each image its class; below it the class that each network takes for the most likely, with '
                    'the probability that it gives it, marked right or wrong.',
                    partial(examples_figure, run.examples, read_images(run.examples, run.work_dir / 'export')))]


def _classes(run: Run) -> list[Picture]:
    if run.class_values is None:
        return []
    measure = run.class_values.measure
    return [Picture('examples', 'classes', f'{measure} of each class on the test images',
                    f'What the mean {measure} hides: rare and small classes are lost first. Classes that do not occur '
                    'are left out.', partial(class_figure, run.class_values))]


def _round_of(stage: str) -> str:
    number = stage.rpartition('_')[2]
    return f', round {number}' if number.isdigit() else ''


PICTURES: dict[str, Callable[[Run], list[Picture] | str]] = {
    'students': _students, 'selection': _selections, 'examples': _examples, 'importance': _importance, 'kept': _kept,
    'refit': _refits, **OF_SEARCHES, 'loss': _losses, 'distance': _distances, 'terms': _terms, 'latency': _latency,
    'cost': _cost}
