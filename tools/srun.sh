#!/usr/bin/env bash
# What slurm_train.sh and slurm_test.sh share: srun.sh PARTITION JOB_NAME SCRIPT ARGUMENTS...
set -euo pipefail

PARTITION=$1
JOB_NAME=$2
SCRIPT=$(dirname "${BASH_SOURCE[0]}")/$3
shift 3
PYTHON=${PYTHON:-python}
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
if [ "$GPUS" -lt "$GPUS_PER_NODE" ]; then
    GPUS_PER_NODE=$GPUS
fi
# Several arguments in one variable, as srun's users are used to.
read -r -a EXTRA <<< "${SRUN_ARGS:-}"

exec srun --partition "$PARTITION" --job-name "$JOB_NAME" --gres "gpu:$GPUS_PER_NODE" \
    --ntasks "$GPUS" --ntasks-per-node "$GPUS_PER_NODE" --cpus-per-task "${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${EXTRA[@]+"${EXTRA[@]}"} \
    "$PYTHON" -u "$SCRIPT" "$@" --launcher slurm
