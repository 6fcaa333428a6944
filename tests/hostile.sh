#!/usr/bin/env bash
# Broken, huge and lying requests to the real binary: the right status for each, memory bounded, the process alive.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
"$target/lamella" serve --data-dir "$work" --listen 127.0.0.1:19160 2>"$work/log" &
pid=$!
finish() {
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
for _ in $(seq 100); do
    if curl -fs http://127.0.0.1:19160/-/ready >/dev/null; then break; fi
    sleep 0.1
done
"$target/load" hostile --address 127.0.0.1:19160 --pid "$pid"
