#!/usr/bin/env bash
# Records the transcripts beside this script anew from a real Prometheus: record.sh PROMETHEUS (3.14: its binary, from the Go module
# github.com/prometheus/prometheus/cmd/prometheus@v0.314.0). Wants `load` built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
prometheus=${1:?path of a prometheus binary}
load=${CARGO_TARGET_DIR:-$here/../../../target}/release/load
port=${PORT:-19121}

# record SETTINGS SCRIPT: a fresh server with the settings, the script sent to it.
record() {
    local work pid
    work=$(mktemp -d)
    { echo "otlp:"; sed 's/^/  /' "$here/settings/$1.yml"; echo "global: {scrape_interval: 15s}"; } >"$work/prometheus.yml"
    grep -q '^[a-z]' "$here/settings/$1.yml" || echo "global: {scrape_interval: 15s}" >"$work/prometheus.yml"
    "$prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$port" \
        --web.enable-remote-write-receiver --web.enable-otlp-receiver --enable-feature=exemplar-storage \
        $(sed -n 's/^# \(--enable-feature=.*\)/\1/p' "$here/settings/$1.yml") >"$work/log" 2>&1 &
    pid=$!
    curl -sf --retry 100 --retry-delay 1 --retry-all-errors -o /dev/null "http://127.0.0.1:$port/-/ready"
    "$load" api --url "http://127.0.0.1:$port" --script "$here/$2.script" >"$here/$2-$1.transcript"
    kill "$pid"
    wait "$pid" || true
    rm -rf "$work"
}

record stock api
for settings in stock plain-names utf8-suffixes untranslated; do
    record "$settings" otlp
done
