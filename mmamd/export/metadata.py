"""What a file of weights or of a graph says about its model, as text under text keys."""

import json

from mmengine.config import Config

from mmamd.export.preprocessing import preprocessing_of
from mmamd.structures import Candidate, Network
from mmamd.version import __version__


def describe(config: Config, candidate: Candidate | Network, input_shape: tuple[int, int, int]) -> dict[str, str]:
    """Facts that a user of the file needs and its tensors do not tell. Values that are not plain text are JSON.

    Keys: ``mmamd`` (version), ``scale``, ``macs`` (of one image) and ``params`` of the network, ``input_shape``
    (channels, height, width), ``classes`` (their names, where the data tell them), ``preprocessing`` (how a picture
    becomes an input, see :func:`mmamd.export.preprocessing.preprocessing_of`) and ``data_preprocessor`` (its last part
    in the host's words: ``mean`` and ``std`` over values of 0 to 255; ``to_rgb`` means that images are read as BGR and
    the network expects RGB).

    Args:
        config: The student's config.
        candidate: The student.
        input_shape: Of one input.
    """
    preprocessor = config.model.get('data_preprocessor') or config.get('data_preprocessor')
    facts = {'mmamd': __version__, 'scale': candidate.key, 'macs': str(candidate.cost.macs),
             'params': str(candidate.cost.params), 'input_shape': json.dumps(input_shape),
             'preprocessing': json.dumps(preprocessing_of(config, input_shape))}
    known = {'classes': config.get('class_names'), 'data_preprocessor': preprocessor}
    return facts | {key: json.dumps(value) for key, value in known.items() if value}
