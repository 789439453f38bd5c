"""A config's text is read without being executed, and written so that people can read it."""

import pytest
from mmengine.config import Config

from mmamd.files.config_text import Name, expression, read_config_text, written


def test_what_the_host_writes_is_read_as_it_was():
    cfg = Config(dict(model=dict(type='A', arch=dict(depth=-2, widths=(1, 2.5)), init_cfg=None),
                      keys={'.cls_token': dict(decay_mult=0.0)}, pipeline=[dict(type='B', on=True)], name="it's"))
    assert read_config_text(cfg.pretty_text) == cfg.to_dict()


def test_nothing_is_executed_and_what_is_no_literal_is_left_out(tmp_path):
    marker = tmp_path / 'marker'
    text = (f'open({str(marker)!r}, "w")\na = dict(b=open({str(marker)!r}, "w"))\nc = __import__("os").getcwd()\n'
            'd = dict(**dict(e=1))\nf = dict([(1, 2)])\ng = dict(h=[1, dict(i=2)])\nfor j in (1,):\n    k = j\n')
    assert read_config_text(text) == {'g': {'h': [1, {'i': 2}]}}
    assert not marker.exists()


@pytest.mark.parametrize('text', ['a = (', 'a b', '\x00'])
def test_what_is_no_python_is_refused(text):
    with pytest.raises(ValueError, match='no text of a config'):
        read_config_text(text)


VALUE = dict(type='ImageClassifier', backbone=dict(type='VisionTransformer', img_size=(224, 224), arch=dict(
    embed_dims=768, num_layers=12)), keys={'.a': 1}, empty={}, one=(1,), text="it's", pipeline=[dict(type='A')] * 3)


@pytest.mark.parametrize('width', [30, 60, 118, 1000])
def test_a_value_is_written_within_a_width_and_read_again(width):
    lines = written('model', VALUE, width)
    assert read_config_text('\n'.join(lines)) == {'model': VALUE}
    assert all(len(line) <= max(width, 44) for line in lines)  # a text of its own may be longer
    assert width < 1000 or len(lines) == 1


def test_a_name_stands_as_it_is():
    assert expression(dict(pipeline=Name('train_pipeline'), text='train_pipeline')) == \
        "dict(pipeline=train_pipeline, text='train_pipeline')"
