from searched_toys import SEARCHED

from mmamd.visualization.operations_plot import operations_figure


def bars(axes):
    return {label.get_text(): bar.get_width() for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)}


def test_operations_of_the_best_are_counted_by_field(check_texts):
    figure = operations_figure(SEARCHED.best(3))
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert bars(panels['Input']) == {'logits': 2, 'feature': 1}
    assert bars(panels['Transforms']) == {'softmax_C': 1, 'mm': 1, 'norm_C': 1}, 'no is none'
    assert bars(panels['Distance']) == {'Pearson': 1, 'l2': 1, 'KL': 1}
    assert list(bars(panels['Weight']).items()) == [('1', 2), ('10', 1)], 'ascending'
    assert {axes.get_xlim() for axes in figure.axes} == {(0, 3)}
    assert figure.get_supxlabel() == 'Distillers, of the 3 best'
    check_texts(figure, least=20)
