#!/bin/bash
# Any training on all GPUs of this machine:
#
#     bash book/cluster/torchrun.sh train musicvae --experiment melody-2 --preset paper
#
# or of several, started on each: NODES=2 NODE=0 HEAD=name-of-node-0 on the first, NODE=1 on the second. Without GPUs
# say how many processes: GPUS=2.

exec torchrun --nnodes "${NODES:-1}" --node-rank "${NODE:-0}" --nproc-per-node "${GPUS:-gpu}" \
    --master-addr "${HEAD:-127.0.0.1}" --master-port "${PORT:-29500}" -m musiclib "$@"
