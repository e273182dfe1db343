#!/usr/bin/env bash
# Trains on several GPUs, or several CPU processes: dist_train.sh CONFIG GPUS [options of train.py].
# On several machines, start it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [options of train.py]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2
shift 2
exec bash "$(dirname "${BASH_SOURCE[0]}")/torchrun.sh" "$GPUS" train.py "$CONFIG" "$@"
