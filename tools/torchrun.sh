#!/usr/bin/env bash
# What dist_train.sh and dist_test.sh share: torchrun.sh GPUS SCRIPT ARGUMENTS...
# One machine: a free port, found by torchrun. Several (NNODES > 1): the port PORT of MASTER_ADDR.
set -euo pipefail

GPUS=$1
SCRIPT=$(dirname "${BASH_SOURCE[0]}")/$2
shift 2
PYTHON=${PYTHON:-python}

if [ "${NNODES:-1}" -gt 1 ]; then
    : "${MASTER_ADDR:?set MASTER_ADDR to the address of the first machine}"
    RENDEZVOUS=(--nnodes "$NNODES" --node-rank "${NODE_RANK:?set NODE_RANK to the number of this machine}"
        --master-addr "$MASTER_ADDR" --master-port "${PORT:-29500}")
elif [ -n "${PORT:-}" ]; then
    RENDEZVOUS=(--master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "$PORT")
else
    RENDEZVOUS=(--standalone)
fi
if [ "$GPUS" -gt 1 ]; then
    # Processes share the machine: torchrun and mmengine choose one thread each, and warn of it.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
fi
exec "$PYTHON" -m torch.distributed.run "${RENDEZVOUS[@]}" --nproc-per-node "$GPUS" \
    "$SCRIPT" "$@" --launcher pytorch
