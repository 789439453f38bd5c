"""Starts runs of the pipeline by forking: a test that kills many need not wait for the imports of each.

A line on standard input is a request, as JSON: ``config`` (a file), ``work_dir``, ``log`` (a file), ``ranks``,
``death`` (see deaths.py), ``counts`` and ``memory`` (files for what was counted and measured, or nothing). Its answer
is the exit code of the process that ended first and not well, or 0. The other ranks are then killed, as by a launcher.
"""

import faulthandler
import gc
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

import matplotlib.pyplot  # noqa: F401  imported once, here, and not by each run
import mmpretrain.models  # noqa: F401
import onnx  # noqa: F401
import onnxruntime  # noqa: F401
import sklearn.datasets  # noqa: F401
import torch
from deaths import Death, Watch
from memory import record
from mmengine.config import Config

import mmamd
import mmamd.distillation
import mmamd.methods
import mmamd.pipeline  # noqa: F401

MOST_SECONDS = 1500  # of a run, which then says where it hangs


def carry_out(request: dict) -> int:
    port, ranks = free_port(), {}
    for rank in range(request['ranks']):
        pid = os.fork()
        if not pid:
            end_as(run, request, rank, port)
        ranks[pid] = rank
    found = 0
    while ranks:
        pid, status = os.wait()
        if ranks.pop(pid, None) is None:
            continue
        code = os.waitstatus_to_exitcode(status)
        if code and not found:
            found = code
            for other in ranks:
                os.kill(other, signal.SIGKILL)
    return found


def end_as(function, *args):
    """Leave this process, without what its parent has to do at its end."""
    code = 1
    try:
        function(*args)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(request: dict, rank: int, port: int) -> None:
    log = os.open(request['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)
    cfg = Config.fromfile(request['config'])
    if request['ranks'] > 1:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(request['ranks']),
                          MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
        cfg.launcher = 'pytorch'
    death = request.get('death') and Death(**request['death'])
    watch = Watch(request['work_dir'], death if death and death.rank == rank else None)
    if death or request.get('counts'):
        watch.install()
    memory = record() if request.get('memory') else None
    mmamd.compress(cfg, work_dir=request['work_dir'])
    for name, found in (('counts', watch.counts), ('memory', memory)):
        if request.get(name) and rank == 0:
            Path(request[name]).write_text(json.dumps(found))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def main() -> None:
    gc.freeze()
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # what is printed is no answer
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    for line in sys.stdin:
        print(carry_out(json.loads(line)), file=answers, flush=True)


if __name__ == '__main__':
    main()
