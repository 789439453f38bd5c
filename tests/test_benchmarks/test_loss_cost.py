"""Every term of the loss is measured beside a plain step, or refused; times are not looked at."""

import json
import sys

import loss_cost
import networks
import pytest
import scalekd_cost
import side_by_side


@pytest.fixture
def smoke(options, monkeypatch):
    """The fewest steps, and more training images than the default number of negatives."""
    monkeypatch.setattr(side_by_side, 'MIN_PAIRS', 1)
    options.num_images = 5000
    return options


@pytest.mark.slow
def test_all_registered_terms_are_measured_or_refused_by_name(tiny, smoke):
    rows = {row.term: row for row in loss_cost.rows_of('tiny', tiny, 0.4, loss_cost.registered(), smoke)}
    assert {'TaskLoss', 'LogitLoss', 'FeatureLoss', 'CRDLoss', 'ABLoss'} <= rows.keys()
    assert 'Loss' not in rows  # the contract is no term
    refused = {name: row.note for name, row in rows.items() if row.time is None}
    assert refused.pop('DGKDLoss') == 'is for several teachers, and a step here has one'
    assert all(note.startswith('refused: losses.term: ') for note in refused.values())
    assert all(row.time.pairs == 1 and row.time.ratio > 0 for row in rows.values() if row.time)
    assert rows['ABLoss'].note == 'alone, in the stage before' and not rows['FTLoss'].note
    # Two banks of 128 floats an image, and two embeddings of 32 channels.
    assert (rows['CRDLoss'].remembered, rows['CRDLoss'].parameters) == (2 * 128 * 4, 2 * (32 * 128 + 128))
    assert rows['FitNetLoss'].parameters == 32 * 32 + 32
    assert str(rows['DGKDLoss']).startswith('| `DGKDLoss` | - | - | - | - | is for several teachers')
    assert str(rows['LogitLoss']).count('|') == loss_cost.HEADER[0].count('|')


def test_the_plain_step_has_the_task_and_the_logit_term_alone(tiny, smoke):
    step = loss_cost.Step(tiny, 0.4, loss_cost.PLAIN, smoke)
    assert list(step.distiller.terms) == ['ce', 'logit'] and len(step.distiller.candidates) == 1


def test_a_table_is_printed_and_written(tiny, smoke, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(loss_cost, 'PAIRS', {'tiny': (tiny, 0.4)})
    monkeypatch.setattr(sys, 'argv', ['loss_cost.py', '--terms', 'LogitLoss', 'DGKDLoss', '--batch-size', '2',
                                      '--seconds', '0', '--json', str(tmp_path / 'deep' / 'rows.json')])
    loss_cost.main()
    printed = capsys.readouterr().out
    assert 'tiny -> 40% of its MACs' in printed and loss_cost.HEADER[0] in printed and '| `LogitLoss` | ' in printed
    written = json.loads((tmp_path / 'deep' / 'rows.json').read_text())
    assert [row['term'] for row in written['rows']] == ['LogitLoss', 'DGKDLoss'] and written['context']['torch']


def test_the_filters_of_a_pair_of_convnets_are_pruned():
    family = networks.random_family(networks.build(networks.architecture(loss_cost.PAIRS['ResNet-20'][0])), (0.3, 0.65))
    assert family.student.cost.macs <= 0.3 * family.teacher_cost.macs


def test_parts_of_scalekd_are_measured_beside_plain_feature_distillation(tiny, smoke, monkeypatch):
    monkeypatch.setattr(scalekd_cost, 'PAIRS', {'tiny': (tiny, 0.4)})
    rows = list(scalekd_cost.rows_of('tiny', smoke))
    assert [row.what for row in rows] == [f'tiny: step with {name} over FD' for name in scalekd_cost.PARTS]
    built = {name: scalekd_cost.step_of('tiny', parts, smoke).distiller.terms['scalekd']
             for name, parts in {'FD': scalekd_cost.FD, **scalekd_cost.PARTS}.items()}
    sizes = {name: sum(p.numel() for p in term.parameters()) for name, term in built.items()}
    assert sizes['FD'] < sizes['CAP'] < sizes['CAP, DFM'] < sizes['CAP, DFM, TPP'] == sizes['CAP, DFM, TPP, KD']
