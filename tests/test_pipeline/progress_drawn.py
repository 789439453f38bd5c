"""A run without arithmetic, during which everything that may print prints: the host's logger, a worker, this script."""

import logging
import os
import sys

from mmengine.logging import MMLogger

from mmamd.pipeline.progress import Progress
from mmamd.pipeline.progress_display import make_display

print('printed before')
with make_display() as display:
    progress = Progress({'score': 1., 'joint': 2., 'export': 1.}, [display])
    progress.start('score')
    logger = MMLogger.get_instance('first')  # the host makes one a stage, whose handler keeps its stream
    progress.finish('score')
    progress.start('joint')
    print('printed meanwhile')
    logger.log(logging.WARNING, 'warned by the logger of a stage that is over')
    MMLogger.get_instance('second').warning('warned by the logger of this stage')
    sys.stdout.flush()
    if sys.argv[1:] == ['fail']:
        raise ValueError('this run fails')
    worker = os.fork()
    if not worker:
        print('a worker said this', flush=True)
        os._exit(0)
    os.waitpid(worker, 0)
    progress.finish('joint')
    progress.start('export')
    progress.finish('export')
print('printed after')
