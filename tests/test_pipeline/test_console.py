"""Lines that are wider than a terminal are folded between words; where there is no terminal, a line is a line."""

from mmamd.pipeline.console import aligned, folded, say

ADVICE = 'advice: train it longer (joint.train_cfg.max_epochs), or at a lower rate'


def test_a_wide_line_is_folded_between_words_and_others_are_as_they_are():
    text = f'network   scale\n\n{ADVICE}'
    assert folded(text, 40).splitlines() == [
        'network   scale', '', 'advice: train it longer', '    (joint.train_cfg.max_epochs), or at', '    a lower rate']
    assert folded(text, 200) == text
    assert folded('/a/path/that/is/wider/than/the/screen', 10) == '/a/path/that/is/wider/than/the/screen'


def test_what_goes_to_a_file_is_not_folded(monkeypatch, capsys):
    monkeypatch.setenv('COLUMNS', '20')
    say(ADVICE)
    assert capsys.readouterr().out == ADVICE + '\n'


def test_what_goes_to_a_terminal_is_as_wide_as_it(monkeypatch, capsys):
    monkeypatch.setenv('COLUMNS', '40')
    monkeypatch.setattr('sys.stdout.isatty', lambda: True, raising=False)
    say(ADVICE)
    assert capsys.readouterr().out.splitlines()[0] == 'advice: train it longer'


def test_words_of_a_table_stand_to_the_left_and_numbers_to_the_right():
    assert aligned([['network', 'MACs'], ['a', '1.5 k'], ['ab', '']]) == ['network   MACs', 'a        1.5 k', 'ab']
