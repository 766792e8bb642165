#!/usr/bin/env bash
# Start Ray on the head and on its workers, and run a study on the cluster. advsweep must be installed on every machine, and
# every machine must be able to reach the storage.
#
#   on the head:    examples/cluster/run.sh head
#   on each worker: examples/cluster/run.sh worker HEAD:6379
#   on the head:    examples/cluster/run.sh sweep 'cifs/*' --profile short
set -euo pipefail

STORAGE=${STORAGE:-s3://bucket/advsweep}
DATA_DIR=${DATA_DIR:-/data}

export RAY_AUTH_MODE=token # the same token on every machine; never expose Ray's ports

case "${1:-}" in
  head) ray start --head --port 6379 ;;
  worker) ray start --address "$2" ;;
  sweep) advsweep run "${@:2}" --address auto --storage "$STORAGE" --data-dir "$DATA_DIR" --gpus-per-trial 0.5 ;;
  stop) ray stop ;;
  *)
    echo "usage: $0 head | worker HEAD:6379 | sweep STUDY... | stop" >&2
    exit 2
    ;;
esac
