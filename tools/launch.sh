# Sourced by dist_*.sh and slurm_*.sh: what they check and how they find this repository and its Python.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ -z ${PYTHON:-} && -x $ROOT/.venv/bin/python ]]; then
    PYTHON=$ROOT/.venv/bin/python
fi
PYTHON=${PYTHON:-python}
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"

# fail MESSAGE: end the script with the status of a usage error.
fail() {
    echo "$(basename "$0"): $1" >&2
    exit 2
}

# need COUNT ARGUMENTS...: the first COUNT arguments must be there and not be empty; else the head of the script is said.
need() {
    local count=$1 i usage
    shift
    read -r -a usage <<< "$(sed -n 2p "$0")"  # '#' 'Usage:' SCRIPT, then the names of the arguments
    for ((i = 1; i <= count; i++)); do
        if [[ -z ${!i:-} ]]; then
            sed -n '2,/^[^#]/s/^# //p' "$0" >&2
            fail "${usage[i + 2]} is missing or empty"
        fi
    done
}

# need_number NAME VALUE
need_number() {
    [[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 must be a number of at least 1, got '$2'"
}

# need_nodes: NNODES is a number, and NODE_RANK one of 0 to NNODES - 1. With another rank all nodes would wait for ever.
need_nodes() {
    need_number NNODES "${NNODES:-1}"
    [[ ${NODE_RANK:-0} =~ ^(0|[1-9][0-9]*)$ && ${NODE_RANK:-0} -lt ${NNODES:-1} ]] \
        || fail "NODE_RANK must be a number from 0 to NNODES - 1 = $((${NNODES:-1} - 1)), got '${NODE_RANK:-0}'"
}

# need_gpus COUNT: where there are GPUs, as many as processes. With fewer NCCL fails after all processes have started.
need_gpus() {
    local there
    command -v nvidia-smi > /dev/null || return 0
    there=$(nvidia-smi --list-gpus 2> /dev/null | grep -c '^GPU ') || return 0
    if [[ -n ${CUDA_VISIBLE_DEVICES:-} ]]; then
        there=$(tr ',' '\n' <<< "$CUDA_VISIBLE_DEVICES" | grep -c .)
    fi
    [[ $1 -le $there ]] || fail "GPUS must be at most the $there GPUs that this machine has (CUDA_VISIBLE_DEVICES), got '$1'"
}

# need_port PORT: on the first node it must be free. With a taken one some processes would end and others wait for them.
need_port() {
    local problem
    [[ $1 =~ ^[1-9][0-9]{0,4}$ && $1 -le 65535 ]] || fail "PORT must be a number from 1 to 65535, got '$1'"
    if [[ ${NODE_RANK:-0} != 0 ]]; then
        return
    fi
    # On both protocols, as torch.distributed listens; a port that was just left (TIME_WAIT) may be taken again.
    problem=$("$PYTHON" - "$1" << 'END'
import os
import socket
import sys

both = socket.has_dualstack_ipv6()
try:
    socket.create_server(('', int(sys.argv[1])), family=socket.AF_INET6 if both else socket.AF_INET,
                         dualstack_ipv6=both).close()
except OSError as error:
    print(os.strerror(error.errno))
END
    )
    [[ -z $problem ]] || fail "port $1: $problem; end what uses it, or choose another, e.g. PORT=$(($1 % 65535 + 1))"
}

# torchrun, with the status of the first process that failed; its own is 1 whatever that was.
TORCHRUN='
import sys
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main
try:
    main()
except ChildFailedError as error:
    print(error, file=sys.stderr)
    status = error.get_first_failure()[1].exitcode
    sys.exit(status if status > 0 else 1)  # negative where a signal ended it
'

# run_distributed GPUS SCRIPT ARGUMENTS...: one process a GPU on each node.
run_distributed() {
    local gpus=$1 rendezvous
    shift
    rendezvous=(--node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
    if [[ -n ${MAX_RESTARTS:-} ]]; then
        need_number MAX_RESTARTS "$MAX_RESTARTS"
        [[ ${NNODES:-1} == 1 ]] || fail "MAX_RESTARTS=$MAX_RESTARTS restarts the processes of one machine, \
got NNODES=$NNODES; leave it out, and give the command again on each machine"
        # A rendezvous and a store that are made anew: else torchrun hands new processes the addresses of the dead.
        export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
        rendezvous=(--rdzv_backend=c10d --rdzv_endpoint="127.0.0.1:${PORT:-29500}" --max_restarts="$MAX_RESTARTS")
    fi
    exec "$PYTHON" -c "$TORCHRUN" \
        --nnodes="${NNODES:-1}" \
        "${rendezvous[@]}" \
        --nproc_per_node="$gpus" \
        "$@"
}

# run_on_slurm PARTITION JOB_NAME SCRIPT ARGUMENTS...: one task a GPU.
run_on_slurm() {
    local partition=$1 job_name=$2 gpus=${GPUS:-8} gpus_per_node srun_args
    shift 2
    need_number GPUS "$gpus"
    gpus_per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    need_number GPUS_PER_NODE "$gpus_per_node"
    [[ $((gpus % gpus_per_node)) == 0 ]] \
        || fail "GPUS must be a multiple of GPUS_PER_NODE=$gpus_per_node, got '$gpus'; SLURM gives whole nodes"
    need_number CPUS_PER_TASK "${CPUS_PER_TASK:-5}"
    command -v srun > /dev/null || fail 'there is no srun here: start this on a node of the SLURM cluster, or use dist_*.sh'
    # MMEngine reads MASTER_PORT; two jobs whose first tasks share a node need different ones.
    if [[ -n ${PORT:-} ]]; then
        export MASTER_PORT=$PORT
    fi
    read -r -a srun_args <<< "${SRUN_ARGS:-}"  # words, as a shell would split them
    exec srun --partition="$partition" \
        --job-name="$job_name" \
        --gres=gpu:"$gpus_per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$gpus_per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        "${srun_args[@]}" \
        "$PYTHON" -u "$@"
}
