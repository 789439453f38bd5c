"""A table of the paper is data: rows that run, go on where they stopped, and are printed beside the paper's figures."""

import copy
import csv
import functools
import json
import re
import runpy
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import study
import torch
from compare_runs import performance
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from tables import TABLES
from tables.jobs import config_of
from tables.run import run_table
from tables.show import cells_of, draw, markdown
from tables.table import Row, Table, find_table
from test_study import arguments, row
from toy_process import with_toy_process

from mmamd.passes import one_tensor, watch
from mmamd.pipeline.config.settings import Settings
from mmamd.pipeline.lock import WorkDirTaken
from mmamd.pruning.complexity import profiled_cost
from mmamd.structures import Candidate, Cost

TOOL = study.ROOT / 'tools' / 'table.py'
SLOW = ('kd_zero_space', 'kd_zero_w16', 'kd_zero_r20', 'vit_terms')  # like others, in more rows
READ = functools.cache(Config.fromfile)
SMOKE = SimpleNamespace(data=None, teacher=None, amp=False)
EACH = [pytest.param(table, id=name) for name, table in sorted(TABLES.items())]


@pytest.fixture
def command(monkeypatch):
    """Function that gives the command, in this process."""
    def give(*arguments):
        monkeypatch.setattr(sys, 'argv', ['table.py', *map(str, arguments)])
        runpy.run_path(str(TOOL), run_name='__main__')

    return give


@pytest.fixture
def toy():
    """A table of three rows, of which one has a figure, one lacks it, and one is ours."""
    yield Table(name='toy', title='Toy', source='a test', recipes={'micro': 'amd/vit-micro_cifar100.py'}, rows=(
        Row('A', paper=80., cost='2x'), Row('B', {'compression.num_candidates': 3}, 'missing', note='a note'),
        Row('C', {'model.losses.ce.weight': 0.})), reference='A', notes=('Said of all.',))
    del TABLES['toy']


# --- data ---

@pytest.mark.parametrize('table', EACH)
def test_rows_have_names_of_their_own_and_one_of_them_is_the_reference(table):
    names = [row.name for row in table.rows]
    assert len(set(names)) == len(names) and table.reference in names
    assert (table.axis is None) == all(row.x is None for row in table.rows)


@pytest.fixture
def recipes_are_read_once(monkeypatch):
    """Rows of many tables differ in keys alone, and to read a recipe takes longer than all that is tested of it."""
    monkeypatch.setattr(Config, 'fromfile', lambda path: copy.deepcopy(READ(path)))


@pytest.fixture(scope='module')
def taken():
    """What has been found to be a config: tables share rows."""
    return set()


@pytest.mark.parametrize('table', [
    pytest.param(table, id=name, marks=[*[pytest.mark.slow] * (name in SLOW), *[pytest.mark.seg] * table.is_dense])
    for name, table in sorted(TABLES.items())])
@pytest.mark.usefixtures('recipes_are_read_once')
def test_every_row_is_a_config_that_the_pipeline_takes(table, tmp_path, taken):
    args = arguments(tmp_path)
    for budget in table.recipes:
        for each in filter(lambda row: row.runs, table.rows):
            which = repr((budget, table.recipe(budget, each.name), table.overrides_of(each.name, budget)))
            if which in taken:
                continue
            taken.add(which)
            cfg = with_toy_process(config_of(table, budget, each.name, 3, args), tmp_path)
            with DefaultScope.overwrite_default_scope(cfg.default_scope):
                Settings.from_cfg(cfg)
            assert cfg.randomness.seed == 3 and cfg.optim_wrapper.type == 'AmpOptimWrapper'


@pytest.mark.slow
@pytest.mark.parametrize('name', ['kd_zero_r20', 'kd_zero_w16'])
def test_students_have_the_share_that_a_row_says_of_teachers_of_every_size(name):
    table = TABLES[name]
    for each in table.rows:
        cfg = Config.fromfile(study.ROOT / 'configs' / table.recipe('full'))
        cfg.merge_from_dict(table.overrides_of(each.name, 'full'))
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            networks = [MODELS.build(architecture.to_dict())
                        for architecture in (cfg.compression.student_architecture, cfg.model.architecture)]
        student, teacher = (profiled_cost(network, (3, 32, 32)) for network in networks)
        assert student.macs / teacher.macs == pytest.approx(cfg.compression.student_scale, abs=0.005), each.name
        assert each.x is None or teacher.params / 1e6 == pytest.approx(each.x, abs=0.005)


@pytest.mark.parametrize('name, budget', [
    ('table7', 'micro'), ('table7', 'full'), ('table7_wrn', 'full'), ('table7_vgg', 'full')])
@pytest.mark.usefixtures('recipes_are_read_once')
def test_table_7_compares_ends_of_stages_that_both_networks_have_and_ab_what_is_in_front_of_their_relu(
        name, budget, tmp_path):
    cfg, other = (config_of(TABLES[name], budget, row, 0, arguments(tmp_path / row)) for row in ('AB', 'VID'))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        networks = [MODELS.build(architecture.to_dict()).eval() for architecture in (
            cfg.compression.student_architecture, cfg.model.architecture)]
    sides = (zip(*term.layers, strict=True) for term in (cfg.pretrain.losses.ab, other.model.losses.vid))
    for network, before, ends in zip(networks, *sides, strict=True):
        with torch.no_grad(), watch(network, [*before, *ends]) as seen:
            network(torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        states, expected = ([one_tensor(seen, each, 'network') for each in names] for names in (before, ends))
        assert [state.shape for state in states] == [state.shape for state in expected]
        assert len(states) == (4 if 'vgg' in name else 3)  # as CRD's benchmark has them
        assert all(state.min() < 0 < state.max() for state in states)


PUBLISHED, OURS = 'npsd', 'npsd_cost'


@pytest.mark.parametrize('name, rules', [
    ('table1', {'AMD': PUBLISHED, 'AMD, two assistants': PUBLISHED, 'MMD-OS': PUBLISHED,
                'AMD, candidates refit': OURS}),
    ('table2', {'AMD': PUBLISHED, 'MMD-OS': PUBLISHED, 'AMD, candidates refit': OURS}),
    ('table4', {'AMD': OURS}), ('table5', {'m = 3': OURS}), ('table6', {'AMD': OURS}), ('scale_by', {'units': OURS}),
    ('optimizers', {'AdamW, 0.001': OURS}), ('options', {'as it is': OURS}), ('samplers', {'all': PUBLISHED}),
    ('starts', {'nested': PUBLISHED}), ('rules', {'npsd': PUBLISHED, 'npsd_cost': OURS})])
@pytest.mark.usefixtures('recipes_are_read_once')
def test_a_row_of_amd_chooses_by_one_rule_whatever_its_budget(name, rules, tmp_path):
    args = arguments(tmp_path)
    for budget in TABLES[name].recipes:
        for row_name, rule in rules.items():
            cfg = config_of(TABLES[name], budget, row_name, 0, args)
            hook, = (hook for hook in cfg.custom_hooks if hook.type == 'mmamd.NPSDSelectionHook')
            assert hook.rule == rule, (budget, row_name)


@pytest.mark.parametrize('budget', ['micro', 'full'])
@pytest.mark.usefixtures('recipes_are_read_once')
def test_options_at_equal_cost_have_one_budget(budget, tmp_path):
    table, args = TABLES['options'], arguments(tmp_path)
    assert {config_of(table, budget, each.name, 0, args).compression.budget for each in table.rows} == {1.0}


def test_a_config_of_one_budget_does_not_change_that_of_another(tmp_path):
    epochs = {budget: config_of(TABLES['table7'], budget, 'FT', 0, arguments(tmp_path / budget)).pretrain.train_cfg
              for budget in ('full', 'micro')}
    assert {budget: each.max_epochs for budget, each in epochs.items()} == {'full': 30, 'micro': 1}


@pytest.mark.parametrize('names', [
    sorted({name for name in TABLES if not TABLES[name].is_dense} - set(SLOW)),
    pytest.param(SLOW, marks=pytest.mark.slow)], ids=['most', 'slow'])
@pytest.mark.usefixtures('recipes_are_read_once')
def test_every_term_of_a_smoke_can_be_built_for_its_images(names):
    num_images, failed, seen = None, {}, set()
    for name in names:
        table = TABLES[name]
        for each in table.rows if 'smoke' in table.recipes else ():
            values = table.overrides_of(each.name, 'smoke').items()
            types = frozenset(value['type'] for key, value in values if key.startswith('model.losses.')
                              and isinstance(value, dict) and 'type' in value)
            if types <= seen:
                continue
            seen |= types
            cfg = config_of(table, 'smoke', each.name, 0, SMOKE)
            with DefaultScope.overwrite_default_scope('mmpretrain'):
                num_images = num_images or len(DATASETS.build(cfg.train_dataloader.dataset))
                try:
                    MODELS.build({**cfg.model, 'teacher': None, 'num_images': num_images, 'candidates': [
                        asdict(Candidate(0.1, None, Cost(1, 1), 0.1))], 'data_preprocessor': cfg.data_preprocessor})
                except ValueError as error:
                    failed[name, each.name] = str(error)
    assert failed == {} and 'mmamd.CRDLoss' in seen


def test_a_row_that_is_the_papers_alone_is_shown_and_not_run(command, capsys):
    with pytest.raises(SystemExit, match="the row 'DeepLabV3-R18, CWD' is the paper's alone and cannot be run"):
        command('table8', '--rows', 'DeepLabV3-R18, CWD')
    command('table8', '--show', '--rows', 'DeepLabV3-R18, CWD')
    printed = capsys.readouterr().out
    assert '| DeepLabV3-R18, CWD | 75.55 | - | not run |' in printed and '| ours, mIoU % |' in printed


@pytest.mark.seg
def test_table_8_runs_segmentors_and_pairs_their_areas(command, tmp_path, capsys):
    command('table8', '--budget', 'smoke', '--rows', 'KD', 'labels alone', '--work-dir', tmp_path,
            '--figure', tmp_path / 'table8.png')
    printed = {line.split(' | ')[0].strip('| '): line for line in capsys.readouterr().out.splitlines()
               if line.startswith('| ')}
    finished = study.read_rows(tmp_path / 'table8_smoke.jsonl')
    assert [each['point'] for each in finished] == ['KD', 'labels alone']
    for each in finished:
        assert performance(study.judging(each)) == pytest.approx(each['accuracy'], abs=1e-6)
        assert each['accuracy'] > 0 and f'| {100 * each["accuracy"]:.2f} | 1 |' in printed[each['point']]
    assert re.search(r'[-+]\d+\.\d\d \[[-+]\d+\.\d\d, [-+]\d+\.\d\d\] \| \w+', printed['labels alone'])
    assert (tmp_path / 'table8.png').stat().st_size > 0


def test_figures_are_those_that_the_paper_prints():
    printed = {(table, row.name): row.paper for table in ('table1', 'table4', 'table5') for row in TABLES[table].rows}
    assert printed['table1', 'AMD'] == 80.23 and printed['table1', 'CRD, whole blocks'] == 74.15
    assert printed['table4', 'without L_feat'] == 75.24 and printed['table5', 'm = 15'] == 80.22
    scalekd = {(table, row.name): row.paper for table in TABLES for row in TABLES[table].rows}
    assert scalekd['scalekd_9a', 'CAP, DFM, TPP, KD'] == 79.62 and scalekd['scalekd_9c', 'Dual-Path CAP'] == 78.12
    assert scalekd['scalekd_2', 'advanced, Swin-L'] == 82.03 and scalekd['scalekd_3', 'ViT-B/16'] == 85.53
    distpro = {(table, row.name): (row.paper, row.cost) for table in TABLES for row in TABLES[table].rows}
    assert distpro['distpro_1', 'R50-MobileNet, by R34-R18'][0] == 73.22
    assert distpro['distpro_3', 'threshold 0.6'] == (73.22, '40 % of alphas, 73 h')
    assert distpro['distpro_fast', 'DeiT-Tiny, DistPro, 100 epochs'][0] == 73.41
    assert scalekd['kd_zero_pairs', 'ResNet-110, ResNet-20'] == scalekd['kd_zero_r20', 'R110, KD-Zero'] == 72.05
    assert scalekd['kd_zero_w16', 'R50, KD-Zero'] == 76.02 and scalekd['kd_zero_designs', 'Review, KD-Zero'] == 72.27
    assert any('98.01' in note and '89.33' in note for note in TABLES['table1'].notes)


def test_the_tools_readme_names_every_table():
    described = (study.ROOT / 'tools' / 'README.md').read_text()
    assert [name for name in TABLES if f'`{name}`' not in described] == []


# --- what is asked for ---

@pytest.mark.parametrize('arguments, message', [
    (['table44'], "there is no table 'table44'. Did you mean table4"),
    (['table4', '--rows', 'without L_cee'], "table4 has no row 'without L_cee'. Did you mean without L_ce"),
    (['table7', '--budget', 'smoke'], "table7 has no recipe for the budget 'smoke', only for ['micro', 'full']")])
def test_what_is_not_there_is_refused_by_name(command, arguments, message, tmp_path):
    with pytest.raises(SystemExit) as refused:
        command(*arguments, '--work-dir', tmp_path / 'runs')
    assert message in str(refused.value) and not (tmp_path / 'runs').exists()


def test_a_table_of_figures_alone_is_shown(command, capsys, tmp_path):
    command('scalekd_12', '--show', '--work-dir', tmp_path / 'runs')
    assert '| teacher, BEiT-L/14 | 63.74/85.20/87.39/89.27/93.36 | - | not run |' in capsys.readouterr().out
    with pytest.raises(SystemExit, match="scalekd_12 has no recipe for the budget 'micro'"):
        command('scalekd_12', '--work-dir', tmp_path / 'runs')


def test_reviewkd_compares_the_levels_of_the_process_in_whose_place_it_stands():
    for each in TABLES['distpro_fast'].rows:
        if 'ReviewKD' in each.name:
            recipe = READ(study.ROOT / 'configs' / TABLES['distpro_fast'].recipe('full', each.name))
            assert each.overrides['model.losses.process']['layers'] == recipe.model.losses.process.layers


def test_a_row_may_have_a_recipe_of_its_own():
    table = TABLES['scalekd_3']
    assert table.recipe('full', 'ViT-S/16') == 'scalekd/swin-l_vit-s_imagenet.py' != table.recipe('full')


def test_a_row_leaves_nothing_to_the_next_one(tmp_path):
    args = arguments(tmp_path)
    tuned, after = (config_of(TABLES['options'], 'micro', name, 0, args)
                    for name in ('the assistant tuned for an epoch', 'as it is'))
    assert tuned.method.tune_epochs == 1 and 'tune_epochs' not in after.method


def test_an_unknown_name_raises():
    with pytest.raises(ValueError, match='Expected one of'):
        find_table('nothing like it')


# --- rows ---

def test_a_row_that_another_process_runs_is_left_to_it(tmp_path, capsys):
    def job(settings, seed, work_dir, args):
        if seed == 0:
            raise WorkDirTaken('held')
        return row('kd', seed, 1)

    args = SimpleNamespace(seeds=[0, 1], points=['kd'], work_dir=tmp_path, amp=False)
    study.run(args, {'kd': {}}, tmp_path / 'rows.jsonl', job)
    assert [found['seed'] for found in study.read_rows(tmp_path / 'rows.jsonl')] == [1]
    assert 'kd, seed 0: left to the process that runs it (held)' in capsys.readouterr().out


def test_rows_of_one_name_in_two_tables_have_folders_of_their_own(tmp_path, monkeypatch):
    folders = []
    monkeypatch.setattr(study, 'run', lambda args, *_: folders.append(args.work_dir))
    for name in ('scalekd_9a', 'scalekd_9a_mixer'):  # both have a row 'FD'
        run_table(SimpleNamespace(table=name, budget='micro', rows=['FD'], show=False, data=None, work_dir=tmp_path,
                                  csv=None, figure=None))
    assert folders == [tmp_path / 'scalekd_9a', tmp_path / 'scalekd_9a_mixer']


def test_figures_stand_beside_the_papers_and_what_was_not_run_says_so(toy):
    rows = [{**row('A', seed, 1500 + 30 * seed, macs=2e12), 'trainings': 2} for seed in (0, 1)]
    rows += [{**row('B', 0, 1200, macs=3e12), 'trainings': 1}]
    by_name = {cells[0]: cells[1:] for cells in cells_of(toy, rows)}
    # Means of 50 and 51 %; 10 points below on the same images.
    assert by_name['A'] == ('80.00', '2x', '50.50 ± 0.50', '2', '', '', '2', '2', '')
    assert by_name['B'][:4] == ('missing', '-', '40.00', '1') and by_name['B'][4].startswith('-10.00 [')
    assert by_name['B'][5:] == ('worse', '3', '1', 'a note')
    assert by_name['C'] == ('-', '-', 'not run', '-', '', '', '-', '-', '')
    assert markdown(toy, 'micro', rows)[-1] == '- Said of all.'


def test_points_and_curves_are_drawn_of_what_was_measured(toy, tmp_path):
    draw(toy, 'micro', [row('A', 0, 1500), row('B', 0, 1200)], tmp_path / 'points.png')
    draw(TABLES['table5'], 'micro', [row('m = 1', 0, 1500), row('m = 9', 0, 1600)], tmp_path / 'curve.png')
    assert all((tmp_path / name).stat().st_size > 5000 for name in ('points.png', 'curve.png'))
    with pytest.raises(ValueError, match='toy: no row has been run at the budget .micro., so there is nothing to draw'):
        draw(toy, 'micro', [], tmp_path / 'none.png')


def test_a_figure_of_several_curves_names_each(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, 'savefig', lambda figure, path, **_: drawn.append(figure))
    rows = [row(f'{name}, {epochs} epochs', 0, 1000 + 5 * epochs) for name in ('ReviewKD', 'DistPro')
            for epochs in (10, 50)]
    draw(TABLES['distpro_epochs'], 'full', rows, tmp_path / 'curves.png')
    handles, names = drawn[0].axes[0].get_legend_handles_labels()
    assert names == ['ReviewKD', 'DistPro'] and [each[0].get_xdata().tolist() for each in handles] == [[10, 50]] * 2


def test_a_figure_of_several_curves_has_one_of_each_and_level_lines(monkeypatch, tmp_path):
    """Of top-1: plain distillation and what was found over an axis, and a row without a place on it."""
    drawn = []
    monkeypatch.setattr(Figure, 'savefig', lambda figure, *args, **kwargs: drawn.append(figure.axes[0]))
    rows = [row(name, 0, right) for name, right in (
        ('student alone', 1000), ('VGG13, KD', 1300), ('R110, KD', 1200), ('R110, KD-Zero', 1500))]
    monkeypatch.setattr('tables.table.TABLES', {})  # where a table registers itself
    draw(replace(TABLES['kd_zero_r20'], gain=False), 'full', rows, tmp_path / 'tops.png')
    assert drawn[0].get_legend_handles_labels()[1] == ['student alone', 'KD', 'KD-Zero']
    kd = drawn[0].containers[0].lines[0].get_xydata()
    assert kd.tolist() == [[1.74, pytest.approx(40)], [9.46, pytest.approx(1300 / 30)]]  # by the teacher's size
    assert drawn[0].get_ylabel() == 'top-1, %'


@pytest.mark.parametrize('name', ['kd_zero_r20', 'kd_zero_w16'])
def test_what_the_size_of_the_teacher_does_is_drawn_as_a_gain_over_the_student_alone(monkeypatch, tmp_path, name):
    """KD-Zero's Figure 2: paired differences with their intervals, over the teachers' parameters."""
    drawn = []
    monkeypatch.setattr(Figure, 'savefig', lambda figure, *args, **kwargs: drawn.append(figure.axes[0]))
    rows = [row(name, seed, right) for name, seed, right in (
        ('student alone', 0, 1000), ('student alone', 1, 1200), ('VGG13, KD', 0, 1300), ('VGG13, KD', 1, 1500),
        ('R110, KD', 1, 1350), ('R110, KD-Zero', 0, 940), ('R32x4, KD', 5, 2000))]
    draw(TABLES[name], 'full', rows, tmp_path / 'gain.png')
    assert drawn[0].get_ylabel() == 'gain over "student alone", points'
    assert drawn[0].get_xlabel() == 'parameters of the teacher, M'
    kd, found = (container.lines[0].get_xydata().tolist() for container in drawn[0].containers)
    # 300 of 3,000 images in both seeds; 150 in the seed that both have; 60 fewer. R32x4 shares no seed.
    assert kd == [[1.74, pytest.approx(5)], [9.46, pytest.approx(10)]] and found == [[1.74, pytest.approx(-2)]]
    alone, = (line for line in drawn[0].lines if line.get_label() == 'student alone')
    assert set(alone.get_ydata()) == {0}
    ends = drawn[0].containers[0].lines[2][0].get_segments()  # of the intervals, those of the table's cells
    seeds = {row_name: {each['seed']: each for each in rows if each['point'] == row_name}
             for row_name in ('student alone', 'R110, KD', 'VGG13, KD')}
    for ((_, low), (_, high)), row_name in zip(ends, ('R110, KD', 'VGG13, KD'), strict=True):
        assert (low, high) == pytest.approx(study.difference(seeds[row_name], seeds['student alone'])[1:])


@pytest.mark.parametrize('rows', [[], [('student alone', 0)], [('VGG13, KD', 0)],
                                  [('student alone', 1), ('VGG13, KD', 0)]],
                         ids=['nothing', 'reference', 'no reference', 'no seed in common'])
def test_a_gain_over_what_was_not_run_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="kd_zero_r20: .*'student alone' has too, so there is no gain to draw; run"):
        draw(TABLES['kd_zero_r20'], 'full', [row(*each, 900) for each in rows], tmp_path / 'none.png')


def test_a_table_is_run_on_digits_with_what_its_rows_share_made_once(command, tmp_path, capsys):
    words = ['table4', '--budget', 'smoke', '--work-dir', tmp_path, '--csv', tmp_path / 'table.csv']
    command(*words)
    cells = list(csv.reader((tmp_path / 'table.csv').open()))[1:]
    assert [name for name, *_ in cells] == [row.name for row in TABLES['table4'].rows]
    assert all(float(ours) > 0 and seeds == '1' for _, _, _, ours, seeds, *_ in cells)
    assert {cell[8] for cell in cells} == {'2'}  # trainings: the teacher's and the student's
    folders = sorted(tmp_path.glob('table4/*/stages.json'))
    reused = [{name for name, entry in json.loads(path.read_text())['stages'].items() if 'reused_from' in entry}
              for path in folders]
    before = {'teacher', 'score', 'nest', 'refit', 'select', 'refit_final'}
    assert sorted(map(len, reused)) == [0, 6, 6, 6, 6] and all(each in (set(), before) for each in reused)
    # What another row made is counted as if it had been made here.
    costs = {found['point']: found['macs'] for found in study.read_rows(tmp_path / 'table4_smoke.jsonl')}
    assert len(set(costs.values())) == 1
    capsys.readouterr()
    command(*words)  # all rows are there
    assert 'Digits and a few steps' in capsys.readouterr().out
    assert sorted(tmp_path.glob('table4/*/stages.json')) == folders
