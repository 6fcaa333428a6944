#!/usr/bin/env bash
# The lines of real log files are pushed as Promtail does and read back through LogQL, before and after `kill -9`.
#
#   tests/logs.sh [FILE…]     .gz and .bz2 are unpacked; without files some lines are made
#   LAMELLA_URL=http://… tests/logs.sh uses a Lamella that runs already (and does not kill it)
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
pid=
finish() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

tests/log_files.sh "$work/files" 20000 "$@"

serve() {
    "$target/lamella" serve --data-dir "$work/lamella" --listen 127.0.0.1:19109 >>"$work/lamella.log" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        curl -fs http://127.0.0.1:19109/ready >/dev/null && return
        sleep 0.1
    done
    echo "lamella was not ready after 10 s" >&2
    tail -20 "$work/lamella.log" >&2
    exit 1
}

start_ns=$(($(date +%s) - 3600))000000000
if [ -n "${LAMELLA_URL:-}" ]; then
    "$target/load" roundtrip --url "$LAMELLA_URL" --push-url "${LAMELLA_WRITE_URL:-$LAMELLA_URL}" --start-ns "$start_ns" "$work"/files/*
    exit
fi
serve
"$target/load" roundtrip --url http://127.0.0.1:19109 --start-ns "$start_ns" "$work"/files/*
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
serve
echo "after kill -9:"
"$target/load" roundtrip --url http://127.0.0.1:19109 --start-ns "$start_ns" --verify-only "$work"/files/*
