#!/usr/bin/env bash
# Tests on several GPUs, or several CPU processes:
# dist_test.sh CONFIG CHECKPOINT GPUS [options of test.py].
# On several machines, start it on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [options of test.py]" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
GPUS=$3
shift 3
exec bash "$(dirname "${BASH_SOURCE[0]}")/torchrun.sh" "$GPUS" test.py "$CONFIG" "$CHECKPOINT" "$@"
