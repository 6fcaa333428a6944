#!/usr/bin/env bash
# The lines of real log files are pushed as Promtail does and read back through LogQL, before and after `kill -9`.
#
#   tests/logs.sh [FILE…]     .gz and .bz2 are unpacked; without files some lines are made
#   LAMELLA_URL=http://… tests/logs.sh uses a Lamella that runs already (and does not kill it)
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
port=${LOGS_PORT:-19109}
. tests/scratch.sh

tests/log_files.sh "$work/files" 20000 "$@"

serve() {
    "$target/lamella" serve --data-dir "$work/lamella" --listen 127.0.0.1:$port >>"$work/lamella.log" 2>&1 &
    pids=($!)
    for _ in $(seq 100); do
        curl -fs http://127.0.0.1:$port/ready >/dev/null && return
        sleep 0.1
    done
    echo "lamella was not ready after 10 s" >&2
    exit 1
}

start_ns=$(($(date +%s) - 3600))000000000
if [ -n "${LAMELLA_URL:-}" ]; then
    "$target/load" roundtrip --url "$LAMELLA_URL" --push-url "${LAMELLA_WRITE_URL:-$LAMELLA_URL}" --start-ns "$start_ns" "$work"/files/*
    exit
fi
serve
"$target/load" roundtrip --url http://127.0.0.1:$port --start-ns "$start_ns" "$work"/files/*
kill -9 "${pids[0]}"
wait "${pids[0]}" 2>/dev/null || true
serve
echo "after kill -9:"
"$target/load" roundtrip --url http://127.0.0.1:$port --start-ns "$start_ns" --verify-only "$work"/files/*
