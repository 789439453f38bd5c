"""A study is a list of jobs that goes on where it stopped, and a table of paired differences."""

import base64
import json
import zlib
from collections import Counter
from types import SimpleNamespace

import budget_study
import crossing
import family_study
import numpy as np
import peer_study
import pytest
import regret_study
import sampler_study
import study
from compare_runs import performance
from matplotlib.figure import Figure
from mmengine.config import Config
from PIL import Image

from mmamd.files.run_config import write_run_config


def row(point, seed, right, macs=1.):
    """A row of a job whose student got the first ``right`` of 3,000 images right."""
    bits = np.arange(3000) < right
    return {'point': point, 'seed': seed, 'bfloat16': False, 'accuracy': float(bits.mean()), 'macs': macs,
            'assistant': None, 'right': base64.b64encode(np.packbits(bits).tobytes()).decode()}


def arguments(folder):
    """What a study is asked for, over a data set of one class, whose files nobody opens."""
    for name in ('meta', 'train/c0'):
        (folder / name).mkdir(parents=True)
    for i in range(500):  # of which a tenth is held out
        (folder / 'train' / 'c0' / f'{i}.png').touch()
    for split in ('train', 'select'):
        (folder / 'meta' / f'{split}.txt').write_text(''.join(f'c0/{i}.png 0\n' for i in range(100)))
    return SimpleNamespace(data=folder, teacher='teacher.pth', work_dir=folder, amp=True)


def test_bits_are_the_images_that_were_right():
    assert study.bits(row('kd', 0, 1234)).sum() == 1234


def of_segmentor(*images):
    """A row of a segmentor that made such areas, (4, classes), of the images."""
    areas = np.array(images, dtype=np.int32)
    return {'images': len(areas), 'areas': base64.b64encode(zlib.compress(areas.tobytes())).decode()}


def test_the_performance_of_a_segmentor_is_its_miou_over_the_classes_that_labels_are_of():
    # Intersection, union, prediction and label of three classes; no label is of the last one.
    images = [[2, 0, 0], [4, 0, 1], [3, 0, 1], [3, 0, 0]], [[1, 3, 0], [2, 4, 0], [1, 4, 0], [2, 3, 0]]
    each = study.judging(of_segmentor(*images))
    assert each.shape == (2, 4, 3)
    assert performance(each) == pytest.approx((3 / 6 + 3 / 4) / 2)
    assert performance(each[:1]) == pytest.approx(2 / 4)


def test_segmentors_are_paired_by_the_same_draws_of_images():
    right, wrong = [[4], [4], [4], [4]], [[1], [4], [2], [3]]
    better, worse = of_segmentor(*[right] * 20), of_segmentor(*[wrong] * 20)
    assert study.difference({0: better}, {0: worse}) == pytest.approx((75., 75., 75.))
    mixed = of_segmentor(*[right] * 10, *[wrong] * 10)
    found, low, high = study.difference({0: mixed}, {0: worse})
    assert found == pytest.approx(37.5) and 0 < low < found < high < 75


def test_table_orders_points_by_cost_and_pairs_them_with_the_reference():
    rows = [row('all', 0, 1500, macs=20.), row('all', 1, 1560, macs=20.), row('kd', 0, 1200, macs=2.),
            row('kd', 1, 1230, macs=2.), row('random', 0, 1501, macs=5.)]
    lines = study.table(rows, 'all')[2:]
    assert [line.split(' | ')[0] for line in lines] == ['| kd', '| random', '| all']
    cells = [cell.strip() for cell in lines[0].strip('|').split('|')]
    # Means of 40 and 41 %; standard error 0.5; 10 and 11 points below the reference on the same images.
    assert cells[1:3] == ['2', '1.00'] and cells[4] == '40.50 ± 0.50'
    assert cells[5].startswith('-10.50 [') and cells[6] == 'worse'
    assert [cell.strip() for cell in lines[1].strip('|').split('|')][6] == 'tie'  # one image of 3,000
    assert '10.00' in lines[2]  # 20 / 2


def test_image_lists_have_so_many_of_each_class_and_do_not_overlap(tmp_path):
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'meta' / 'train.txt').write_text(''.join(
        f'c{label}/{i}.png {label}\n' for label in range(3) for i in range(20)))
    cfg = Config(dict(default_scope='mmpretrain', data_root=str(tmp_path), train_dataloader=dict(dataset=dict(
        type='CustomDataset', data_root=str(tmp_path), data_prefix='train', ann_file='meta/train.txt', pipeline=[]))))
    first, again, others = (
        study.image_list(cfg, 'train', part, tmp_path / 'lists' / 'a.txt').read_text().splitlines()
        for part in (slice(5), slice(5), slice(5, 12)))
    assert first == again
    assert Counter(line.rsplit(' ', 1)[1] for line in first) == {'0': 5, '1': 5, '2': 5}
    assert len(set(first)) == 15 and len(set(others)) == 21 and not set(first) & set(others)
    with pytest.raises(ValueError, match='class 0 has 20 images of train .* draws from 21; is the data set whole'):
        study.image_list(cfg, 'train', slice(21), tmp_path / 'lists' / 'b.txt')
    assert not (tmp_path / 'lists' / 'b.txt').exists()


def test_a_job_whose_row_is_there_is_not_run_again(tmp_path):
    ran = []

    def job(settings, seed, work_dir, args):
        ran.append((settings, seed))
        return row('kd', seed, 1)

    args = SimpleNamespace(seeds=[0, 1], points=['kd'], work_dir=tmp_path, amp=False)
    for _ in range(2):
        study.run(args, {'kd': 'settings'}, tmp_path / 'rows.jsonl', job)
    assert ran == [('settings', 0), ('settings', 1)]
    assert [found['seed'] for found in study.read_rows(tmp_path / 'rows.jsonl')] == [0, 1]


def test_a_row_that_another_process_has_written_meanwhile_is_not_written_again(tmp_path):
    rows = tmp_path / 'rows.jsonl'

    def job(settings, seed, work_dir, args):
        rows.write_text(json.dumps(row('kd', seed, 1)) + '\n')
        return row('kd', seed, 2)

    study.run(SimpleNamespace(seeds=[0], points=['kd'], work_dir=tmp_path, amp=False), {'kd': {}}, rows, job)
    assert [round(3000 * found['accuracy']) for found in study.read_rows(rows)] == [1]


def test_rows_of_two_precisions_are_not_mixed(tmp_path):
    (tmp_path / 'rows.jsonl').write_text(json.dumps(row('kd', 0, 1)) + '\n')
    args = SimpleNamespace(seeds=[0], points=['kd'], work_dir=tmp_path, amp=True)
    with pytest.raises(SystemExit, match='was begun without --amp; go on with it that way'):
        study.run(args, {'kd': {}}, tmp_path / 'rows.jsonl', None)


def test_peers_are_compared_at_their_own_scale_with_the_rows_of_the_other_study():
    lines = peer_study.tables([row('dense + kd', 0, 900), row(f'{peer_study.AMD}, 15 %', 0, 1200),
                               row('kd, 15 %', 0, 1100, macs=0.5)],
                              [row(peer_study.AMD, 0, 1000), row('kd', 0, 950), row('sandwich', 0, 1)])
    assert [line for line in lines if line.startswith('Student')] == [
        'Student of 10% of the MACs', 'Student of 15% of the MACs']
    of_kd, of_dense = (next(line for line in lines if line.startswith(start)) for start in ('| kd, 15 %', '| dense'))
    assert '-3.33' in of_kd and '| 1.00 |' in of_kd  # 100 of 3,000 images below AMD at 15 %
    assert '-3.33' in of_dense and not any('sandwich' in line for line in lines)


def test_the_manual_search_is_the_runners_own_method_with_four_assistants(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(study, 'carry_out', lambda cfg, work_dir: started.append(cfg) or {})
    settings = peer_study.POINTS[f'{peer_study.MMD}, 15 %']
    peer_study.job(settings, 0, tmp_path / 'run', arguments(tmp_path))
    cfg, = started
    assert cfg.method.to_dict() == dict(type='mmamd.MMD', assistants=(0.2, 0.4, 0.6, 0.8))
    assert (cfg.compression.student_scale, cfg.student.train_cfg.max_epochs) == (0.15, 5)


def test_a_run_is_charged_for_all_but_its_teacher_and_its_report():
    kinds = dict(teacher='teacher', score='score', joint='distil', select='select', student='distil', export='export')
    stages = {name: {'kind': kind, 'macs': 10.**i} for i, (name, kind) in enumerate(kinds.items())}
    assert study.macs({'stages': stages}) == 11110.


@pytest.mark.parametrize('script', [sampler_study, peer_study])
def test_every_point_is_the_recipe_with_other_schedules(script, tmp_path):
    args = arguments(tmp_path)
    recipe = Config.fromfile(study.RECIPE)
    for settings in script.POINTS.values():
        settings = {key: value for key, value in settings.items() if key not in ('scale', 'peer')}
        cfg = study.config(3, args, **settings)
        assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
        assert cfg.method.type == ('mmamd.AMD' if 'joint_epochs' in settings else 'mmamd.KD')
        assert cfg.student.train_cfg.max_epochs == settings['student_epochs']
        assert cfg.model.architecture == recipe.model.architecture
        # What the recipe has beyond plain distillation is left to the points.
        assert {name: term.weight for name, term in cfg.model.losses.items()} == dict(ce=1, logit=1, feat=0.1)
        assert not {'refit', 'budget'} & set(cfg.compression) and 'teacher_cache' not in cfg


def test_lines_of_the_budget_study_are_measured_here_or_in_another_study():
    others = {**sampler_study.POINTS, **peer_study.POINTS}
    assert set(budget_study.EARLIER) <= set(others)
    assert not set(budget_study.EARLIER.values()) & set(budget_study.POINTS.values())
    assert {line for line, *_ in budget_study.POINTS.values()} == set(budget_study.LINES)
    assert {task for *_, task in budget_study.POINTS.values()} == set(budget_study.TASKS) == set(budget_study.TITLES)
    recorded = {row['point'] for row in study.read_rows(budget_study.ROWS)}
    assert recorded and recorded <= set(budget_study.POINTS)


def test_a_figure_says_which_rows_it_draws_in_whatever_order_they_came(tmp_path):
    rows = [row('kd', 0, 1500), row('kd', 1, 1600)]
    study.save_figure(Figure(), tmp_path / 'new' / 'figure.png', rows)
    title = Image.open(tmp_path / 'new' / 'figure.png').text['Title']
    assert title == study.title_of(rows[::-1]) != study.title_of([rows[0], row('kd', 1, 1601)])
    assert title.startswith('2 rows, ')


def test_recorded_figures_draw_all_the_rows_that_there_are():
    tables = [path for path in (study.ROOT / 'results' / 'tables').glob('*.jsonl')
              if path.with_suffix('.png').is_file()]
    rows = {path.with_suffix('.png'): study.read_rows(path) for path in tables}
    rows[budget_study.ROWS.with_name('budgets.png')] = budget_study.drawn_rows(budget_study.by_line())
    behind = [path.name for path, drawn in rows.items() if Image.open(path).text.get('Title') != study.title_of(drawn)]
    assert len(rows) > 5 and not behind, 'draw them anew, by tools/table.py --show --figure or budget_study.py figure'


def test_table_of_a_budget_pairs_each_line_with_both_ways_of_plain_distillation():
    rows = [row('plain KD from refit, 1', seed, 1200, macs=budget_study.TASKS[''][3]) for seed in (0, 1, 2)]
    lines = [line for line in budget_study.tables(rows) if line.startswith('| plain KD from refit')]
    cells = [cell.strip() for cell in lines[0].strip('|').split('|')]
    assert cells[:5] == ['plain KD from refit', '3', '1.00', '-', '40.00 ± 0.00']
    assert cells[5].startswith('+') and cells[7] == ''  # against plain KD of the other study, and not against itself


def test_a_line_without_plain_distillation_beside_it_has_no_cost_in_runs_of_it():
    rows = [row('AMD from refit, kept outputs, 2, ResNet-20', 0, 1500)]
    cells = budget_study.table(', ResNet-20', '2', rows)[4].split(' | ')
    assert cells[4] == '50.00' and cells[:4] == ['| AMD from refit, kept outputs', '1', '-', '-']


def test_a_line_crosses_at_the_budget_from_which_on_its_interval_says_so(monkeypatch):
    monkeypatch.setattr(study, 'NUM_DRAWS', 200)

    def line(*right):
        """Budgets 1, 2 and 4, whose students have so many of 3,000 images right, three seeds but for the last."""
        return {budget: {seed: row('', seed, each) for seed in range(1 if budget == '4' else 3)}
                for budget, each in zip(('1', '2', '4'), right, strict=False) if each is not None}

    lines = {'ours': line(900, 1201, 1500), 'below': line(1200, 1200, 1200), 'above': line(600, 1200, 1800),
             'at first': line(600, None, None), 'unmeasured': line()}
    # One image more of 3,000 is a tie; 300 are more than noise.
    assert crossing.table(lines, ['ours', 'nothing'], ['below', 'above', 'at first', 'unmeasured'], ('1', '2', '4'))[
        2:] == ['| ours | below | 1, 2, 4 (1 seed) | 2 | 4 |',
                '| ours | above | 1, 2, 4 (1 seed) | - | - |',
                '| ours | at first | 1 | 1 | 1 |',
                '| ours | every one of these | 1, 2, 4 (1 seed) | - | - |']
    del lines['above']
    assert crossing.table(lines, ['ours'], ['below', 'at first'], ('1', '2', '4'))[-1].endswith('| 2 | 4 |')
    assert crossing.table(lines, ['at first'], ['below'], ('1', '2', '4')) == []  # one budget alone


def test_the_crossing_points_of_a_task_are_printed_behind_its_tables(monkeypatch):
    monkeypatch.setattr(study, 'NUM_DRAWS', 200)
    rows = [row(f'{line}, {budget}', seed, right) for seed in (0, 1) for line, budget, right in (
        ('AMD from refit', '0.3', 1200), ('AMD from refit', '8', 1500), ('plain KD, kept outputs', '0.3', 1500),
        ('plain KD, kept outputs', '8', 1200))]
    lines = budget_study.tables(rows)
    assert '| AMD from refit | plain KD, kept outputs | 0.3 (2 seeds), 8 (2 seeds) | 8 | 8 |' in lines
    assert sum('from which on AMD' in line for line in lines) == 1  # of the one task that has two budgets


def test_the_regret_is_what_the_chosen_assistants_student_misses_of_the_best_one():
    def of(scale, right):
        return {**row(f'refit, {scale}', 0, right), 'assistant': scale,
                'would_take': {rule: 0.4 for rule in regret_study.RULES} | {'npsd': 0.8}}

    rows = [of(0.2, 900), of(0.4, 1170), of(0.6, 1200)]
    assert regret_study.tables(rows) == []  # a seed counts once all its students are there
    lines = regret_study.tables([*rows, of(0.8, 1140)])
    assert '| 0.6 | 40.00 |' in lines
    assert '| regret of npsd | 2.00 (takes 0.8) |' in lines  # 1,200 - 1,140 of 3,000
    assert '| regret of npsd_cost | 1.00 (takes 0.4) |' in lines


def test_the_candidates_are_made_once_for_all_their_students(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(study, 'carry_out', lambda cfg, work_dir: started.append((cfg, work_dir)) or {})
    monkeypatch.setattr(regret_study, 'would_take', lambda work_dir: {})
    args = arguments(tmp_path)
    for point in ('joint, 0.2', 'joint, 0.2', 'joint, 0.6'):
        regret_study.job(regret_study.POINTS[point], 0, tmp_path / point, args)
        cfg, work_dir = started[-1]
        work_dir.mkdir(exist_ok=True)
        write_run_config(cfg, work_dir)
    assert {work_dir for _, work_dir in started} == {tmp_path / 'joint_0'}
    # An interrupted job goes on; the next one keeps what lies before the choice.
    assert [cfg.get('start_from') for cfg, _ in started] == [None, None, 'select']
    assert [cfg.custom_hooks[1].scale for cfg, _ in started] == [0.2, 0.2, 0.6]


def test_plain_distillation_gets_a_third_of_what_the_family_has_cost(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(study, 'carry_out', lambda cfg, work_dir: started.append(cfg) or {})
    monkeypatch.setattr(family_study, 'unit_of', lambda cfg, work_dir: 8.)
    monkeypatch.setattr(family_study, 'ROWS', tmp_path / 'rows.jsonl')
    args = arguments(tmp_path)
    with pytest.raises(SystemExit, match='has no row of it; run it first: --points family --seeds 1'):
        family_study.job(0.15, 1, tmp_path / 'run', args)
    family_study.ROWS.write_text(json.dumps({'point': 'family', 'seed': 1, 'macs': 48.}) + '\n')
    family_study.job(0.15, 1, tmp_path / 'run', args)
    cfg, = started
    assert (cfg.compression.budget, cfg.compression.student_scale, cfg.method.type) == (2., 0.15, 'mmamd.KD')
    assert list(family_study.POINTS)[0] == 'family' and cfg.compression.refit is not None


def test_each_student_of_a_family_is_paired_with_the_one_of_its_size():
    students = {'0.10': row('', 0, 1230), '0.25': row('', 0, 1500)}
    lines = family_study.tables([{'point': 'family', 'seed': 0, 'macs': 9., 'students': students},
                                 row('KD, 0.10', 0, 1200, macs=1.2 * 7.905e12), row('KD, 0.25', 0, 1500)])
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[4:]]
    assert [each[0] for each in cells] == ['0.10', '0.25']
    assert cells[0][2:4] == ['41.00', '40.00'] and cells[0][4].startswith('+1.00 [')
    # Plain KD from refit has 40.00 at a cost of 1.2 here, and 41.07 at 2.15: 1.2 + (41 - 40) / 1.07 * 0.95.
    assert float(cells[0][6]) == pytest.approx(2.09, abs=0.02) and cells[1][6] == '-'
