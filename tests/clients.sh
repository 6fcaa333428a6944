#!/usr/bin/env bash
# Two real clients from package registries push real log lines, and all come back, complete and in order:
# OpenTelemetry's SDK for Python (OTLP, protobuf in gzip) and winston-loki for Node (Loki push, protobuf in snappy).
#
#   tests/clients.sh [FILE…]    .gz and .bz2 are unpacked; without files some lines are made
#   CLIENT_LINES=N              lines of each file (default 2000; 0: all)
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
cache=${LAMELLA_CACHE:-target/servers}/clients
port=${CLIENT_PORT:-19110}
. tests/scratch.sh

if [ ! -x "$cache/python/bin/python" ]; then
    mkdir -p "$cache"
    python3 -m venv "$cache/python"
    "$cache/python/bin/pip" install --quiet "opentelemetry-sdk==1.45.2" "opentelemetry-exporter-otlp-proto-http==1.45.2" >&2
fi
if [ ! -d "$cache/node_modules/winston-loki" ]; then
    npm install --prefix "$cache" --no-audit --no-fund --silent winston@3 winston-loki@6.1.7 >&2
fi

tests/log_files.sh "$work/files" 5000 "$@"
lines=${CLIENT_LINES:-2000}
if [ "$lines" -gt 0 ]; then
    for file in "$work"/files/*; do
        sed -i "$((lines + 1)),\$d" "$file"
    done
fi

"$target/lamella" serve --data-dir "$work/lamella" --listen "127.0.0.1:$port" >"$work/lamella.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do
    curl -fs "http://127.0.0.1:$port/ready" >/dev/null && break
    sleep 0.1
done
start_ns=$(($(date +%s) - 7200))000000000
url=http://127.0.0.1:$port
"$cache/python/bin/python" tests/clients/otlp.py "$url" "$start_ns" "$work"/files/*
NODE_PATH=$cache/node_modules node tests/clients/winston.js "$url" "$start_ns" "$work"/files/*
"$cache/python/bin/python" tests/clients/read_back.py "$url" "$start_ns" otlp "$work"/files/*
"$cache/python/bin/python" tests/clients/read_back.py "$url" "$start_ns" winston "$work"/files/*
