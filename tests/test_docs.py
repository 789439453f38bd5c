"""The documentation and the README are true: each command in them runs here, or says what it needs that is not here."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmamd.distillation.losses import Loss
from mmamd.methods import Method
from mmamd.methods.amd import AMD
from mmamd.pipeline.config.compression import Compression, RefitSettings
from mmamd.pipeline.config.settings import Settings, section_losses
from mmamd.pipeline.stages.teacher_cache import TeacherCacheSettings
from mmamd.pruning import network_cost, profiled_cost
from mmamd.registry import METHODS, MODELS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
NEEDS = {'GPUs', 'data', 'network'}
BLOCK = re.compile(r'(?:^<!-- needs: (\w+) -->\n)?^```(\w+)\n(.*?)^```', re.MULTILINE | re.DOTALL)


def name(page):
    return page.relative_to(ROOT).as_posix()


def blocks(page, language):
    """(what it needs or None, text) of each fenced block in a language."""
    return [(needs or None, text) for needs, found, text in BLOCK.findall(page.read_text()) if found == language]


def runnable(page):
    return [text for needs, text in blocks(page, 'bash') if needs is None]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder like the repository, in which the shipped digits recipe has been cut to seconds and run."""
    folder = tmp_path_factory.mktemp('a clone')
    for part in ('tools', 'benchmarks', 'results', 'requirements'):
        (folder / part).symlink_to(ROOT / part)
    shutil.copytree(ROOT / 'configs', folder / 'configs')
    (folder / 'configs' / 'amd' / 'vit-tiny_digits.py').write_text(
        f"_base_ = ['{ROOT.as_posix()}/tests/test_pipeline/tiny_config.py']\n")
    run(folder, 'python tools/train.py configs/amd/vit-tiny_digits.py --work-dir work_dirs/quickstart')
    return folder


def run(folder, script):
    environment = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
                   'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(['bash', '-euo', 'pipefail', '-c', script], cwd=folder, env=environment, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, f'{script}\n{done.stdout[-2000:]}{done.stderr[-4000:]}'
    return done.stdout


QUICK = ('README.md', 'docs/get_started.md')  # what a newcomer types first; the other pages take a minute together


@pytest.mark.parametrize('page', [pytest.param(page, marks=() if name(page) in QUICK else pytest.mark.slow)
                                  for page in PAGES if runnable(page)], ids=name)
def test_the_commands_of_a_page_run(page, folder):
    for script in runnable(page):
        run(folder, script)


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_a_command_that_is_not_run_says_what_it_needs(page):
    marks = re.findall(r'^<!-- needs: (.*?) -->$', page.read_text(), re.MULTILINE)
    assert set(marks) <= NEEDS
    marked = [needs for language in ('bash', 'python') for needs, _ in blocks(page, language) if needs]
    assert len(marks) == len(marked), 'a mark stands right above the block that it is about'
    # A command outside a fenced block would be run by nobody.
    outside = BLOCK.sub('', page.read_text())
    assert not re.findall(r'^ {4,}(?:bash|python|pip|mim|tools/)\b.*', outside, re.MULTILINE)


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_the_python_of_a_page_compiles(page):
    for _, text in blocks(page, 'python'):
        compile(text, str(page), 'exec')


def whole_configs(page):
    return [text for _, text in blocks(page, 'python') if text.startswith("_base_ = 'mmamd::")]


# That of the README is run in test_readme.py.
@pytest.mark.parametrize('page', [page for page in PAGES[1:] if whole_configs(page)], ids=name)
def test_a_whole_config_of_a_page_has_at_most_15_lines_and_builds(page, tmp_path):
    for text in whole_configs(page):
        assert len(text.splitlines()) <= 15
        (tmp_path / 'my_config.py').write_text(text)
        cfg = Config.fromfile(tmp_path / 'my_config.py')
        settings = Settings.from_cfg(cfg).compression
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            # Without weights, which are the reader's.
            distiller = MODELS.build({**cfg.model, 'teacher': None, 'data_preprocessor': cfg.data_preprocessor})
            groups = distiller.teacher.backbone.unit_groups()
            assert {group.kind for group in groups} == set(settings.prune)
            assert distiller.teacher.head.num_classes == cfg.data_preprocessor.num_classes
            if settings.student_architecture is not None:
                last = MODELS.build({
                    **cfg.model, 'architecture': settings.student_architecture, 'start': None,
                    'teacher': dict(architecture=cfg.model.architecture, weights=None),
                    'losses': section_losses(cfg, 'student'), 'data_preprocessor': cfg.data_preprocessor})
                whole = network_cost(distiller.teacher)
                share = profiled_cost(last.network, distiller.teacher.backbone.input_shape).macs / whole.macs
                assert share == pytest.approx(settings.student_scale, abs=0.005)
                # A pair names modules of both networks, whose outputs can be compared, or building would refuse it.
                assert last.terms['feat'].pairs == [cfg.student.losses.feat.layers]


def test_every_term_and_method_is_on_the_page_that_compares_them():
    page = (ROOT / 'docs' / 'losses_and_methods.md').read_text()
    rows = re.findall(r'^\| `mmamd\.(\w+)`', page, re.MULTILINE)
    known = {name for registry, base in ((MODELS, Loss), (METHODS, Method))
             for name, cls in registry.module_dict.items()
             if isinstance(cls, type) and issubclass(cls, base) and cls.__module__.startswith('mmamd.')}
    assert set(rows) == known  # other tests register toys


def figures(text):
    return set(re.findall(r'(?<![\w.])[+-]?\d+\.\d\d(?!\d)', text))


def test_what_is_said_to_have_been_measured_of_a_term_or_method_is_in_the_record_that_is_named():
    page = (ROOT / 'docs' / 'losses_and_methods.md').read_text()
    records = {short: (ROOT / path).read_text()
               for short, path in re.findall(r'^\| (\w+) \| `(.+\.md)` \|$', page, re.M)}
    cells = re.findall(r'^\| `mmamd\..* \| ([^|]+) \|$', page.split('## Terms')[1], re.M)
    cells += re.findall(r'^\| `mmamd\.[^|]+\|[^|]+\| ([^|]+) \|', page.split('## Terms')[0], re.M)
    named = [(cell, [short for short in re.findall(r'\[(\w+)\]\(#records\)', cell) if short in records])
             for cell in cells]
    assert 'not yet' not in cells and sum(bool(shorts) for _, shorts in named) > 8
    for cell, shorts in named:
        if shorts:
            assert not figures(cell) - set().union(*(figures(records[short]) for short in shorts)), cell


def test_every_recorded_table_has_its_figure_in_a_record():
    records = ''.join(path.read_text() for path in (ROOT / 'results').glob('*.md'))
    tables = [path for path in (ROOT / 'results' / 'tables').glob('*.jsonl')
              if len({json.loads(line)['point'] for line in path.read_text().splitlines()}) > 1]
    assert len(tables) > 5
    assert [path.stem for path in tables if not path.with_suffix('.png').is_file()
            or f'](tables/{path.stem}.png)' not in records] == []


def test_the_first_table_of_costs_is_of_the_record():
    page, record = ((ROOT / path).read_text() for path in ('docs/costs.md', 'results/2026-11-25_budgets.md'))
    cells = re.findall(r'([\d.]+(?: ± [\d.]+)?) at ([\d.]+)', page.split('## Accuracy for cost')[1].split('![')[0])
    rows = [line for line in record.splitlines() if line.startswith('|')]
    assert len(cells) == 26
    assert [cell for cell in cells if not any(all(f'| {each} |' in row for each in cell) for row in rows)] == []


def test_the_readmes_figures_at_equal_cost_are_of_the_record():
    readme, record = ((ROOT / path).read_text() for path in ('README.md', 'results/2026-11-25_budgets.md'))
    table = readme.split('### For the same cost')[1].split('![')[0].replace('*', '').replace(' one ', ' ')
    cells = [cell.strip() for line in table.splitlines() if line.startswith('|') for cell in line.split('|')[2:-1]]
    figures = [cell for cell in cells if cell[:1].isdigit()]
    assert len(figures) == 27
    assert [figure for figure in figures if f'| {figure} |' not in record] == []


def test_the_options_of_a_refit_have_the_defaults_that_are_said():
    defaults = {f'{section}.{field.name}': field.default for section, cls in (
        ('compression', Compression), ('compression.refit', RefitSettings), ('method', AMD),
        ('teacher_cache', TeacherCacheSettings)) for field in dataclasses.fields(cls)}
    page = (ROOT / 'docs' / 'costs.md').read_text().split('## Options of refit')[1].split('\n## ')[0]
    rows = dict(re.findall(r'^\| `([\w.]+)` \| (.+?) \|', page, re.M))
    known = {key: default for key, default in rows.items() if key in defaults}
    assert {key.removeprefix('compression.refit.') for key in known} >= {
        field.name for field in dataclasses.fields(RefitSettings)}
    assert known == {key: '-' if defaults[key] is dataclasses.MISSING else str(defaults[key]) for key in known}
    assert rows.keys() - known == {'NPSDSelectionHook.rule'}


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_every_file_that_a_page_names_exists(page):
    text = page.read_text()
    paths = re.findall(r'\b((?:mmamd|configs|tools|tests|benchmarks|results|docs)/[\w./-]*\w)', text)
    links = re.findall(r'\]\((?!https?:|#)([^)#]+)', BLOCK.sub('', text))
    missing = {path for path in paths if not (ROOT / path).exists()}
    missing |= {link for link in links if not (page.parent / link).exists()}
    assert not missing


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / 'docs' / 'index.md').read_text()
    listed = {entry for entry in re.findall(r'^\w+$', index, re.MULTILINE)}
    assert {page.stem for page in PAGES[1:]} - {'index'} <= listed


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run([sys.executable, '-m', 'sphinx', '-W', '-q', '-b', 'html', ROOT / 'docs', tmp_path / 'html',
                           '-d', tmp_path / 'doctrees'], env={**os.environ, 'PYTHONPATH': str(ROOT)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'html' / 'how_amd_works.html').exists()
