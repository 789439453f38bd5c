"""The report of a run: one HTML file that holds everything it shows and fetches nothing."""

import base64
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from mmamd.selection.bootstrap import standard_error
from mmamd.selection.size_text import size_sentences
from mmamd.selection.table import Row, amount_text, signed
from mmamd.structures import Cost, scale_key
from mmamd.visualization.bench_table import bench_rows
from mmamd.visualization.pictures import Picture, make_pictures
from mmamd.visualization.run_files import Run
from mmamd.visualization.selection_plot import student_label
from mmamd.visualization.style import DARK, LIGHT, encoded
from mmamd.visualization.units import duration_text, short_amount

NOTHING = '\N{EN DASH}'  # in a cell that has no value


def write_report(run: Run, path: str | Path) -> None:
    """Save :func:`report_html`; its folder is made. A reader never sees half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + '.partial')
    partial.write_text(report_html(run), encoding='utf-8')
    partial.replace(path)


def report_html(run: Run) -> str:
    """The report as HTML, for a light and a dark page. A run that is not finished is reported as far as it is."""
    pictures, missing = make_pictures(run)
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
                              undefined=StrictUndefined)
    return environment.get_template('report.html.j2').render(
        title=run.work_dir.resolve().name, light=LIGHT, dark=DARK, lead=_lead(run), tiles=_tiles(run),
        table=_table(run), warnings=_warnings(run), pictures=[_inlined(picture) for picture in pictures],
        missing=missing, bench=_bench(run), costs=_costs(run), record=_record(run), config=run.config_text)


# --- pictures ---

def _inlined(picture: Picture) -> dict:
    light, dark = picture.draw(style=LIGHT), picture.draw(style=DARK)
    width, height = light.get_size_inches() * 96  # CSS pixels an inch: a point of the figure is a point of the page
    return dict(name=picture.name, title=picture.title, caption=picture.caption, width=round(width),
                height=round(height), light=_data_uri(light), dark=_data_uri(dark))


def _data_uri(figure: Figure) -> str:
    return 'data:image/svg+xml;base64,' + base64.b64encode(encoded(figure, 'svg')).decode()


# --- words and numbers ---

def _lead(run: Run) -> list[str]:
    """What was compressed into what, and how far the run is."""
    sentences = []
    if run.config is not None:
        architecture, compression = run.config.model.architecture, run.config.compression
        other = '' if run.is_student_a_candidate else f', as {compression.student_architecture.backbone.type}'
        sentences.append(f'{architecture.type} over {architecture.backbone.type}, compressed to '
                         f'{_sizes(run)}{run.family and f" of its {run.scale_of}" or ""}{other}, by the method '
                         f'{run.method}.')
    if run.summary is not None:
        sentences += size_sentences(run.summary)
        images = {split: f'{data["images"]:,}' for split, data in run.summary['record']['images'].items()}
        root = f' of {run.config.data_root}' if run.config is not None and run.config.get('data_root') else ''
        chosen = f'choices are made on {images["val"]} held-out training images; ' * bool(run.selections)
        sentences.append(f'Trained on {images["train"]} images{root}; {chosen}tested on {images["test"]} images, which '
                         'choose nothing.')
    unfinished = [name for name in run.stages if not run.is_finished(name)]
    if run.summary is None or unfinished:
        now = f'; it has come to the stage {", ".join(unfinished)}' if unfinished else ''
        sentences.append(f'This run is not finished{now}. The report shows what there is so far.')
    return sentences


def _sizes(run: Run) -> str:
    named = run.config.compression.student_scale
    scales = [student.scale for student in run.students] or (named if isinstance(named, (list, tuple)) else [named])
    *first, last = ('a size that it finds' if scale == 'auto' else f'{scale:.1%}' for scale in scales)
    return f'{", ".join(first)} and {last}' if first else last


def _tiles(run: Run) -> list[dict]:
    """The outcome in short."""
    if run.family is None or not run.students:
        return []
    full, costs = run.family.teacher_cost, [student.cost for student in run.students]
    tiles = [dict(name=name, value=_arrow(short_amount(before), map(short_amount, after)),
                  note=', '.join(f'{before / each:.1f}' for each in after) + ' times fewer')
             for name, before, after in (('MACs of an image', full.macs, [cost.macs for cost in costs]),
                                         ('Parameters', full.params, [cost.params for cost in costs]))]
    if run.summary is not None:
        teacher, students = run.summary['teacher']['value'], [student.value for student in run.students]
        kept = ', '.join(f'{student / teacher:.1%}' for student in students) if teacher else ''
        tiles.append(dict(name=f'{run.summary["metric"]} on the test images',
                          value=_arrow(f'{100 * teacher:.2f}', (f'{100 * student:.2f}' for student in students)),
                          note='in percent' + f'; {kept} is kept' * bool(kept)))
    for stage, selection in run.selections.items():
        name = 'Student' if stage in run.delivered else 'Teacher assistant'
        name += f' of {run.student_of(stage)}' * bool(run.student_of(stage))
        by = 'by hand' if selection.rule == 'manual' else f'by the rule {selection.rule}'
        num = sum(row.is_eligible for row in run.rows(stage))
        tiles.append(dict(name=name, value=selection.chosen, note=f'of {num} candidate{"s" * (num != 1)}, {by}'))
    if run.summary is not None:
        cost = run.summary['cost']
        tiles.append(dict(name='Arithmetic of the run', value=f'{short_amount(cost["macs"])} MACs',
                          note=f'in {cost["trainings"]} training{"s" * (cost["trainings"] != 1)}'))
    return tiles + _latency_tile(run)


def _latency_tile(run: Run) -> list[dict]:
    """Of the teacher and the students, at the first batch size."""
    rows = [row for row in (run.bench['networks'] if run.bench else []) if row['precision'] == 'float32']
    for runtime in ('ONNX Runtime', 'torch'):
        timed = {row['network']: row['timings'][0] for row in rows if row['runtime'] == runtime}
        if 'teacher' in timed:
            before = timed['teacher']['median']
            after = [timing['median'] for name, timing in timed.items() if name.startswith('student')]
            return [dict(name=f'Latency by {runtime}, batch {timed["teacher"]["batch"]}',
                         value=_arrow(f'{before:.3g}', (f'{each:.3g}' for each in after)) + ' ms',
                         note=', '.join(f'{before / each:.1f}' for each in after) + ' times faster')]
    return []


def _arrow(before: str, after: Iterable[str]) -> str:
    amounts = (text.replace(' ', '\N{NO-BREAK SPACE}') for text in after)
    return f'{before} \N{RIGHTWARDS ARROW} {", ".join(amounts)}'


def _table(run: Run) -> dict:
    """Header, rows and notes of the table of all networks; no rows without a family."""
    rules = list(dict.fromkeys(selection.shown_rule for selection in run.selections.values()))
    header = ['Network', 'Scale', 'MACs', 'of all', 'Parameters', 'Held out, %', *rules, 'Test, %']
    if run.family is None:
        return dict(header=header, rows=[], notes=[])
    rows = [*_black_box(run, rules), _cells(run, 'teacher', _teacher(run), 'end', rules)]
    if not run.selections and any(map(run.is_joint, run.losses)):  # candidates that nobody has measured yet
        rows += [_cells(run, 'candidate', Row(c.key, c.scale, c.cost.macs, c.cost.params, None, None, {}, None, False,
                                              False), '', rules) for c in reversed(run.family.candidates)]
    for number, (stage, choices) in enumerate(run.tables.items(), 1):
        place = f' {number}' if len(run.tables) > 1 else ''
        selection = run.selections[stage]
        for row in reversed(run.rows(stage, *choices[1:])):
            chosen_by = [choice for choice in choices if run.selections[choice].chosen == row.name]
            is_student = run.is_student_a_candidate and selection.above is not None and scale_key(row.scale) in [
                student.key for student in run.students]
            name = (_role(run, chosen_by) if chosen_by else student_label(run.are_slices(stage)) if is_student else
                    'candidate')
            own = '' if selection.has_scales else f' ({row.name})'
            rows.append(_cells(run, name + place + own, row, 'chosen' if chosen_by else '', rules))
    for student in run.students:
        rows.append(_cells(run, 'student, distilled', Row(
            'student', student.scale, student.cost.macs, student.cost.params, student.held_out, None, {}, student.value,
            False, False), 'end', rules))
    return dict(header=header, rows=rows, notes=_table_notes(run))


def _role(run: Run, stages: list[str]) -> str:
    """What a network was chosen for, by some stages."""
    role = 'student' if stages[0] in run.delivered else 'assistant'
    of = ', '.join(filter(None, map(run.student_of, stages)))
    return f'{role} of {of}' if of else role


def _black_box(run: Run, rules: list[str]) -> list[dict]:
    """The teacher that is not pruned, where there is one."""
    found = (run.summary or {}).get('black_box')
    return [] if found is None else [_cells(run, 'black-box teacher', Row(
        'black_box', None, found['macs'], found['params'], found['held_out'], None, {}, found['value'], False, False),
        'end', rules)]


def _teacher(run: Run) -> Row:
    cost, test = run.family.teacher_cost, None if run.summary is None else run.summary['teacher']['value']
    value, error = _teacher_held_out(run)
    return Row('teacher', 1., cost.macs, cost.params, value, error, {}, test, False, False)


def _cells(run: Run, name: str, row: Row, mark: str, rules: list[str]) -> dict:
    held_out = NOTHING if row.value is None else f'{100 * row.value:.2f}'
    if row.stderr is not None:
        held_out += f' \N{PLUS-MINUS SIGN} {100 * row.stderr:.2f}'
    costs = ([NOTHING] * 3 if row.macs is None else
             [amount_text(row.macs), f'{row.macs / run.family.teacher_cost.macs:.1%}', f'{row.params:,}'])
    return dict(mark=mark, cells=[
        name, NOTHING if row.scale is None else scale_key(row.scale), *costs, held_out,
        *(signed(row.scores[rule]) if rule in row.scores else NOTHING for rule in rules),
        NOTHING if row.test_value is None else f'{100 * row.test_value:.2f}'])


def _table_notes(run: Run) -> list[str]:
    metric = f'Performance is {run.summary["metric"]}. ' if run.summary else ''
    last = 'each of the last lines was' if len(run.students) > 1 else 'the student of the last line was'
    whole = 'MACs and parameters are those of the whole network, heads included. ' * (run.family.unscaled != Cost(0, 0))
    notes = [f"{metric}The scale is the fraction of the teacher's {run.scale_of} that was asked for. {whole}"
             f'{_whose_weights(run)}; {last} distilled on its own.']
    if any(selection.reference.resampled for selection in run.selections.values()):
        notes.append('\N{PLUS-MINUS SIGN} is the standard error over images, by bootstrap.')
    if run.selections:
        notes.append('The held-out images are new to the distillation, and not to a teacher that was trained on them: '
                     'its held-out figure then lies far above its test figure, and those of the candidates with it.')
    num_images = (run.summary or {}).get('recalibration_images', 0)
    if num_images:
        notes.append(f'Each candidate has batch norm statistics of its own, found on {num_images:,} training images.')
    return notes


def _whose_weights(run: Run) -> str:
    if any(selection.has_scales and not run.are_slices(stage) for stage, selection in run.selections.items()):
        return 'Each candidate has weights of its own'
    return 'Candidates of one selection share their weights unless they have names'


def _teacher_held_out(run: Run) -> tuple[float | None, float | None]:
    """The teacher's performance on the held-out images and its error, where a selection has measured it."""
    first = next(iter(run.selections.values()), None)
    if first is None or first.reference.name is not None:  # the whole shared network was measured in its place
        return ((run.summary or {}).get('size') or {}).get('teacher'), None
    draws = first.reference.resampled
    return first.reference.value, standard_error(draws) if draws else None


def _warnings(run: Run) -> list[str]:
    several, stages = len(run.selections) > 1, {}
    for stage, selection in run.selections.items():
        for warning in selection.warnings:
            stages.setdefault(warning, []).append(stage)
    return [*(overlap_warnings(run.summary) if run.summary else []),
            *(f'{", ".join(names)}: {warning}' if several else warning[:1].upper() + warning[1:]
              for warning, names in stages.items()),
            *(f'{stage}: {warning}' for stage, searched in run.searches.items() for warning in searched.warnings),
            *(f'Advice: {text}.' for text in run.advice)]


def overlap_warnings(summary: dict) -> list[str]:
    """What is to be said of images that two splits of a run have in common, one sentence a pair."""
    return [f'The splits {pair.replace("-", " and ")} have {found["images"]:,} image{"s" * (found["images"] != 1)} in '
            'common, ' + (f"as allow_overlap=['{pair}'] lets them." if found['allowed'] else
                          'pixel for pixel: the data set holds them twice.')
            for pair, found in summary['record'].get('overlaps', {}).items()]


def _bench(run: Run) -> dict | None:
    """Rows and notes of what was timed; None where nothing was."""
    if run.bench is None:
        return None
    header, *rows = bench_rows(run.bench)
    return dict(header=header, rows=rows, notes=run.bench['notes'], warnings=run.bench['warnings'])


def _costs(run: Run) -> dict:
    """Seconds, and planned arithmetic where it is known, of every stage and of all."""
    planned = run.planned_macs
    rows = [[name + ('' if run.is_finished(name) else ' (not finished)'), duration_text(stage['seconds']),
             *([short_amount(planned.get(name, 0.))] if planned else [])] for name, stage in run.stages.items()]
    total = ['all stages', duration_text(sum(stage['seconds'] for stage in run.stages.values())),
             *([short_amount(sum(planned.values()))] if planned else [])]
    return dict(header=['Stage', 'Wall time', *(['Planned MACs'] if planned else [])], rows=[*rows, total],
                notes=_shares(run) if run.summary is not None and len(run.students) > 1 else [])


def _shares(run: Run) -> list[str]:
    """What each of several students costs."""
    shares = '; '.join(f'{scale_key(each["scale"])}: {short_amount(each["cost"]["macs"])} MACs, '
                       f'{duration_text(each["cost"]["seconds"])}' for each in run.summary['students'])
    return [f'Of what was spent falls to each student, with its part of what they share: {shares}.']


def _record(run: Run) -> dict[str, str]:
    """What is needed to repeat the run."""
    if run.summary is None:
        return {'seed': run.seed, 'folder': run.work_dir}
    record = run.summary['record']
    images = [f'{split}: {data["images"]:,} images, digest {data["digest"]}'
              for split, data in record['images'].items()]
    return {'command': record['command'], 'commit': record['commit'] or 'not run from a repository',
            'seed': record['seed'], 'versions': ', '.join(f'{name} {v}' for name, v in record['versions'].items()),
            'data': '; '.join(images), 'student': ', '.join(each['path'] for each in run.summary['students'])}
