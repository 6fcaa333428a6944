#!/usr/bin/env bash
# Broken, huge and lying requests to the real binary: the right status for each, memory bounded, the process alive.
#
#   tests/hostile.sh        HOSTILE_PORT=19160
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
port=${HOSTILE_PORT:-19160}
. tests/scratch.sh
"$target/lamella" serve --data-dir "$work/data" --listen "127.0.0.1:$port" 2>"$work/lamella.log" &
pids+=($!)
for _ in $(seq 100); do
    if curl -fs "http://127.0.0.1:$port/-/ready" >/dev/null; then break; fi
    sleep 0.1
done
"$target/load" hostile --address "127.0.0.1:$port" --pid "${pids[0]}"
