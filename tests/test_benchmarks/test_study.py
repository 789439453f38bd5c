"""A study is a list of jobs that goes on where it stopped, and a table of paired differences."""

import base64
from collections import Counter
from types import SimpleNamespace

import numpy as np
import peer_study
import pytest
import sampler_study
import study
from mmengine.config import Config


def row(point, seed, right, macs=1.):
    """A row of a job whose student got the first ``right`` of the test images right."""
    bits = np.arange(study.NUM_TEST) < right
    return {'point': point, 'seed': seed, 'test': float(bits.mean()), 'macs': macs, 'assistant': None,
            'right': base64.b64encode(np.packbits(bits).tobytes()).decode()}


def test_bits_are_the_images_that_were_right():
    assert study.bits(row('kd', 0, 1234)).sum() == 1234


def test_table_orders_points_by_cost_and_pairs_them_with_the_reference():
    rows = [row('all', 0, 5000, macs=20.), row('all', 1, 5200, macs=20.), row('kd', 0, 4000, macs=2.),
            row('kd', 1, 4100, macs=2.), row('random', 0, 5001, macs=5.)]
    lines = study.table(rows, 'all')[2:]
    assert [line.split(' | ')[0] for line in lines] == ['| kd', '| random', '| all']
    cells = [cell.strip() for cell in lines[0].strip('|').split('|')]
    # Means of 40 and 41 %; standard error 0.5; 10 and 11 points below the reference on the same images.
    assert cells[1:3] == ['2', '1.00'] and cells[4] == '40.50 ± 0.50'
    assert cells[5].startswith('-10.50 [') and cells[6] == 'worse'
    assert [cell.strip() for cell in lines[1].strip('|').split('|')][6] == 'tie'  # one image of 10,000
    assert '10.00' in lines[2]  # 20 / 2


def test_image_list_has_so_many_of_each_class_and_is_always_the_same(tmp_path):
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'meta' / 'train.txt').write_text(''.join(
        f'c{label}/{i}.png {label}\n' for label in range(3) for i in range(20)))
    lists = [study.image_list(tmp_path, 'train', 5, tmp_path / name).read_text().splitlines() for name in 'ab']
    assert lists[0] == lists[1]
    assert Counter(line.rsplit(' ', 1)[1] for line in lists[0]) == {'0': 5, '1': 5, '2': 5}
    assert len(set(lists[0])) == 15


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


@pytest.mark.parametrize('script', [sampler_study, peer_study])
def test_every_point_is_the_recipe_with_other_schedules(script, tmp_path):
    (tmp_path / 'meta').mkdir()
    for split in ('train', 'select'):
        (tmp_path / 'meta' / f'{split}.txt').write_text('c0/0.png 0\n')
    args = SimpleNamespace(data=tmp_path, teacher='teacher.pth', work_dir=tmp_path, amp=True)
    recipe = Config.fromfile(study.RECIPE)
    for settings in script.POINTS.values():
        settings = {key: value for key, value in settings.items() if key not in ('scale', 'peer')}
        cfg = study.config(3, args, **settings)
        assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
        assert cfg.compression.num_assistants == int('joint_epochs' in settings)
        assert cfg.student.train_cfg.max_epochs == settings['student_epochs']
        assert cfg.model.losses == recipe.model.losses and cfg.model.architecture == recipe.model.architecture
