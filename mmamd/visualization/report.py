"""The report of a run: one HTML file that holds everything it shows and fetches nothing."""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from mmamd.selection.npsd import standard_error
from mmamd.selection.table import amount_text
from mmamd.structures import Selection, scale_key
from mmamd.visualization.candidate_table import Row, candidate_tables
from mmamd.visualization.pictures import Picture, make_pictures
from mmamd.visualization.run_files import Run
from mmamd.visualization.style import DARK, LIGHT, encoded
from mmamd.visualization.units import duration_text, short_amount

SCALE_OF = {'flops': 'MACs', 'params': 'parameters', 'units': 'prunable units'}
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
        missing=missing, costs=_costs(run), record=_record(run), config=run.config_text)


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
        method = 'by AMD' if run.num_assistants else 'by plain distillation'
        other = '' if run.is_student_a_candidate else f', as {run.config.model.student_architecture.backbone.type}'
        sentences.append(f'{architecture.type} over {architecture.backbone.type}, compressed to '
                         f'{compression.student:.1%} of its {SCALE_OF[compression.get("scale_by", "flops")]}{other}, '
                         f'{method}.')
    if run.summary is not None:
        images = {split: f'{data["images"]:,}' for split, data in run.summary['record']['dataset fingerprint'].items()}
        root = f' of {run.config.data_root}' if run.config is not None and run.config.get('data_root') else ''
        chosen = f'the assistant is chosen on {images["val"]} held-out training images; ' * bool(run.selections)
        sentences.append(f'Trained on {images["train"]} images{root}; {chosen}tested on {images["test"]} images, which '
                         'choose nothing.')
    unfinished = [name for name in run.stages if not run.is_finished(name)]
    if run.summary is None or unfinished:
        now = f'; it has come to the stage {", ".join(unfinished)}' if unfinished else ''
        sentences.append(f'This run is not finished{now}. The report shows what there is so far.')
    return sentences


def _tiles(run: Run) -> list[dict]:
    """The outcome in short."""
    if run.family is None or run.student_cost is None:
        return []
    full, small = run.family.teacher_cost, run.student_cost
    tiles = [dict(name=name, value=f'{short_amount(before)} \N{RIGHTWARDS ARROW} {short_amount(after)}',
                  note=f'{before / after:.1f} times fewer')
             for name, before, after in (('MACs of an image', full.macs, small.macs),
                                         ('Parameters', full.params, small.params))]
    if run.summary is not None:
        teacher, student = run.summary['teacher']['value'], run.summary['student']['value']
        tiles.append(dict(name=f'{run.summary["metric"]} on the test images',
                          value=f'{100 * teacher:.2f} \N{RIGHTWARDS ARROW} {100 * student:.2f}',
                          note='in percent' + (f'; {student / teacher:.1%} is kept' if teacher else '')))
    for selection in run.selections.values():
        tiles.append(dict(name='Teacher assistant', value=scale_key(selection.assistant),
                          note=f'of {_listed(selection)}, by the rule {selection.rule}'))
    return tiles


def _listed(selection: Selection) -> str:
    num = sum(m.scale > selection.student_scale for m in selection.measurements)
    return f'{num} candidate' + 's' * (num != 1)


def _table(run: Run) -> dict:
    """Header, rows and notes of the table of all networks; no rows without a family."""
    header = ['Network', 'Scale', 'MACs', 'of all', 'Parameters', 'Held out, %', 'NPSD', 'Test, %']
    if run.family is None:
        return dict(header=header, rows=[], notes=[])
    tables = candidate_tables(run)
    if not tables and run.num_assistants:  # candidates that nobody has measured yet
        tables[''] = [dict(scale=c.scale, macs=c.cost.macs, params=c.cost.params) for c in run.family.candidates]
    rows = [_cells(run, 'teacher', _end(run, 'teacher') | _teacher_held_out(run), 'end')]
    for number, (stage, table) in enumerate(tables.items(), 1):
        place = f' {number}' if len(tables) > 1 else ''
        for row in reversed(table):
            chosen = stage in run.selections and row['scale'] == run.selections[stage].assistant
            is_student = run.is_student_a_candidate and row is table[0]
            name = 'assistant' if chosen else 'student, shared weights' if is_student else 'candidate'
            rows.append(_cells(run, name + place, row, 'chosen' if chosen else ''))
    if run.student_cost is not None:
        rows.append(_cells(run, 'student, distilled', _end(run, 'student'), 'end'))
    return dict(header=header, rows=rows, notes=_table_notes(run))


def _end(run: Run, name: str) -> Row:
    """Row of the teacher or of the distilled student."""
    cost, scale = ((run.family.teacher_cost, 1.) if name == 'teacher' else
                   (run.student_cost, run.family.student.scale))
    test = {} if run.summary is None else {'test': run.summary[name]['value']}
    return dict(scale=scale, macs=cost.macs, params=cost.params, **test)


def _cells(run: Run, name: str, row: Row, mark: str) -> dict:
    held_out = f'{100 * row["performance"]:.2f}' if 'performance' in row else NOTHING
    if 'stderr' in row:
        held_out += f' \N{PLUS-MINUS SIGN} {100 * row["stderr"]:.2f}'
    return dict(mark=mark, cells=[
        name, scale_key(row['scale']), amount_text(row['macs']), f'{row["macs"] / run.family.teacher_cost.macs:.1%}',
        f'{row["params"]:,}', held_out, f'{round(row["npsd"], 4) + 0.0:+.4f}' if 'npsd' in row else NOTHING,
        f'{100 * row["test"]:.2f}' if 'test' in row else NOTHING])


def _table_notes(run: Run) -> list[str]:
    metric = f'Performance is {run.summary["metric"]}. ' if run.summary else ''
    notes = [f"{metric}The scale is the fraction of the teacher's {SCALE_OF[run.family.scale_by]} that was asked for. "
             'Candidates share their weights; only the student of the last line was distilled on its own.']
    if any(selection.reference.resampled for selection in run.selections.values()):
        notes.append('\N{PLUS-MINUS SIGN} is the standard error over images, by bootstrap.')
    num_images = (run.summary or {}).get('recalibration_images', 0)
    if num_images:
        notes.append(f'Each candidate has batch norm statistics of its own, found on {num_images:,} training images.')
    return notes


def _teacher_held_out(run: Run) -> Row:
    first = next(iter(run.selections.values()), None)
    hooks = run.config.get('custom_hooks') or [] if run.config is not None else []
    # With reference='full' the whole shared network was measured in its place.
    if first is None or any(hook.get('reference', 'teacher') != 'teacher' for hook in hooks):
        return {}
    draws = first.reference.resampled
    return {'performance': first.reference.value} | ({'stderr': standard_error(draws)} if draws else {})


def _warnings(run: Run) -> list[str]:
    several = len(run.selections) > 1
    return [f'{stage}: {warning}' if several else warning[:1].upper() + warning[1:]
            for stage, selection in run.selections.items() for warning in selection.warnings]


def _costs(run: Run) -> dict:
    """Seconds, and planned arithmetic where it is known, of every stage and of all."""
    planned = run.planned_macs
    rows = [[name + ('' if run.is_finished(name) else ' (not finished)'), duration_text(stage['seconds']),
             *([short_amount(planned.get(name, 0.))] if planned else [])] for name, stage in run.stages.items()]
    total = ['all stages', duration_text(sum(stage['seconds'] for stage in run.stages.values())),
             *([short_amount(sum(planned.values()))] if planned else [])]
    return dict(header=['Stage', 'Wall time', *(['Planned MACs'] if planned else [])], rows=[*rows, total])


def _record(run: Run) -> dict[str, str]:
    """What is needed to repeat the run."""
    if run.summary is None:
        return {'seed': run.seed, 'folder': run.work_dir}
    record = run.summary['record']
    images = [f'{split}: {data["images"]:,} images, digest {data["digest"]}'
              for split, data in record['dataset fingerprint'].items()]
    return {'command': record['command'], 'commit': record['commit'] or 'not run from a repository',
            'seed': record['seed'], 'versions': ', '.join(f'{name} {v}' for name, v in record['versions'].items()),
            'data': '; '.join(images), 'student': run.summary['student']['path']}
