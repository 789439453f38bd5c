import pytest
from mmengine.config import DictAction

from mmamd.distillation.genome import EXAMPLE, Genome
from mmamd.registry import KD_TRANSFORMS

FULL = 'in:[feature] trans:[mm|norm_C|min-max] dist:[smooth-l1] cal:[focal] weight:[0.01] tau:[8]'


@pytest.mark.parametrize('text', [EXAMPLE, FULL, FULL.replace('0.01', '1e-05')])
def test_a_text_is_read_and_written_again(text):
    assert str(Genome.parse(text)) == text
    assert Genome.parse(text.replace(' ', '')) == Genome.parse(f' {text.replace("|", " | ")}\n') == Genome.parse(text)


def test_a_text_is_an_option_of_the_command_line():
    # The host takes blanks out of what it reads, and makes lists of what has commas.
    value = DictAction._parse_iterable(FULL)
    assert isinstance(value, str) and Genome.parse(value) == Genome.parse(FULL)


@pytest.mark.parametrize('text, message', [
    ('', 'is no genome: expected the fields in, trans, dist, cal, weight, tau in this order.*got none'),
    (None, 'None is no genome'), (EXAMPLE + ' x', 'is no genome'), (EXAMPLE.replace(' tau:[4]', ''), 'is no genome'),
    # What other banks write, and what another version might.
    ("in:['k3'] trans:['trans_drop'] weig:['1'] dist:['l1_loss']", 'got in, trans, weig, dist.*another version'),
    (EXAMPLE.replace('softmax_C', 'softmax_c'), "no transform 'softmax_c'.*Did you mean softmax_N, softmax_C"),
    (EXAMPLE.replace('Pearson', 'pearson'), "no distance 'pearson'.*Did you mean Pearson"),
    (EXAMPLE.replace('cal:[no]', 'cal:[focus]'), "no calibration 'focus'"),
    (EXAMPLE.replace('logits', 'k3'), "no input 'k3'; expected one of feature, embedding, logits"),
    (EXAMPLE.replace('no|softmax_C', 'softmax_C'), r"has 3 transforms, got 2: \['softmax_C', 'no'\]; fill up with"),
    (EXAMPLE.replace('tau:[4]', 'tau:[0]'), 'tau must be a positive finite number, got 0.0'),
    (EXAMPLE.replace('tau:[4]', 'tau:[hot]'), "tau must be a positive finite number, got 'hot'"),
    (EXAMPLE.replace('weight:[1]', 'weight:[-1]'), 'weight must be a positive finite number, got -1.0'),
    (EXAMPLE.replace('weight:[1]', 'weight:[inf]'), 'weight must be a positive finite number, got inf')])
def test_what_is_no_genome_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Genome.parse(text)


@pytest.mark.parametrize('what, transforms, expected', [
    ('logits', ('no', 'relu', 'no'), ('relu', 'no', 'no')), ('logits', ('relu', 'relu', 'exp'), ('relu', 'exp', 'no')),
    ('logits', ('exp', 'exp', 'relu'), ('exp', 'exp', 'relu')),
    ('feature', ('scale_r1', 'mm', 'bmm'), ('mm', 'no', 'no')),
    ('embedding', ('softmax_HW', 'satt', 'tanh'), ('tanh', 'no', 'no')),
    ('feature', ('channel', 'local_r2', 'norm_HW'), ('channel', 'norm_HW', 'no')),
    ('feature', ('batch', 'batch', 'mask'), ('batch', 'no', 'no'))])
def test_genomes_that_compute_the_same_have_one_canonical_form(what, transforms, expected):
    canonical = Genome(what, transforms, 'l2').canonical()
    assert canonical.transforms == expected and canonical.canonical() == canonical


def test_logits_of_a_dense_prediction_have_positions():
    genome = Genome('logits', ('softmax_HW', 'no', 'no'), 'l2')
    assert genome.canonical(dense=True) == genome and genome.canonical().transforms == ('no',) * 3


def test_which_operations_compare_the_batch():
    assert Genome('logits', ('mm', 'exp', 'natt'), 'Correlation').needs_batch == ['mm', 'natt', 'Correlation']
    assert Genome('logits', ('exp', 'no', 'no'), 'l2').needs_batch == []
    assert KD_TRANSFORMS.module_dict['min-max'].needs_batch is False
