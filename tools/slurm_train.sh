#!/usr/bin/env bash
# Trains on a Slurm cluster: slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py].
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS are taken from the environment.
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [options of train.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
WORK_DIR=$4
shift 4
exec bash "$(dirname "${BASH_SOURCE[0]}")/srun.sh" "$PARTITION" "$JOB_NAME" \
    train.py "$CONFIG" --work-dir "$WORK_DIR" "$@"
