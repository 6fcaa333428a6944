#!/usr/bin/env bash
# Ingest, stored bytes and queries of Lamella and of the peers that Debian packages, on the same bytes in the same order.
#
#   tests/bench.sh [SERIES=10000] [STEPS=720] [ROUNDS=1]
#   PEERS="lamella prometheus victoria-metrics" BENCH_PORT=19130 tests/bench.sh
# The server is pinned to processor 0 and the client to processor 1; one server runs at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
series=${1:-10000} steps=${2:-720} rounds=${3:-1}
target=${CARGO_TARGET_DIR:-target}/release
port=${BENCH_PORT:-19130}
end_ms=$(($(date +%s) / 15 * 15 - 60))000
. tests/scratch.sh

wait_for() {
    for _ in $(seq 200); do
        curl -fs "$1" >/dev/null && return
        sleep 0.1
    done
    echo "$1 did not answer" >&2
    exit 1
}
start() {
    rm -rf "$work/data"
    mkdir "$work/data"
    case $1 in
    lamella) exec taskset -c 0 "$target/lamella" serve --data-dir "$work/data" --listen 127.0.0.1:$port --compact-interval-seconds 20 ;;
    prometheus)
        echo 'global: {}' >"$work/prometheus.yml"
        exec taskset -c 0 prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
            --web.listen-address=127.0.0.1:$port --web.enable-remote-write-receiver --web.enable-admin-api \
            --storage.tsdb.retention.time=10y
        ;;
    victoria-metrics)
        exec taskset -c 0 victoria-metrics -storageDataPath="$work/data" -httpListenAddr=127.0.0.1:$port -retentionPeriod=100y \
            -search.latencyOffset=0s -search.maxUniqueTimeseries=10000000
        ;;
    esac >"$work/server.log" 2>&1 & # the subshell becomes the server, so its process id is the server's
    pids=($!)
    wait_for http://127.0.0.1:$port/metrics
}
settle() { # flush and merge, so that bytes are what stays
    case $1 in
    lamella) sleep 75 ;; # some rounds of the compaction timer: closed hours are merged level by level
    prometheus) curl -fs -XPOST http://127.0.0.1:$port/api/v1/admin/tsdb/snapshot >/dev/null ;;
    victoria-metrics) curl -fs http://127.0.0.1:$port/internal/force_flush >/dev/null; sleep 2; curl -fs http://127.0.0.1:$port/internal/force_merge >/dev/null; sleep 3 ;;
    esac
}
cpu_seconds() { awk '{print ($14 + $15) / 100}' "/proc/${pids[0]}/stat"; }

for round in $(seq "$rounds"); do
    for peer in ${PEERS:-lamella prometheus victoria-metrics}; do
        echo "-- $peer, round $round: $series series x $steps steps"
        start "$peer"
        taskset -c 1 "$target/load" metrics --url http://127.0.0.1:$port --pid "${pids[0]}" --connections 5 --series "$series" --steps "$steps" --end-ms "$end_ms"
        settle "$peer"
        stored=$(du -sb "$work/data" | cut -f1)
        [ "$peer" = prometheus ] && stored=$(du -sb "$work/data/snapshots" | cut -f1)
        echo "after flush and merge: $(cpu_seconds) s CPU since start, $stored bytes, $(awk "BEGIN {printf \"%.3f\", $stored / ($series * $steps)}") bytes per sample, $(find "$work/data" -type f | wc -l) files"
        taskset -c 1 "$target/load" queries --url http://127.0.0.1:$port --pid "${pids[0]}" --end-ms "$end_ms"
        kill "${pids[0]}"
        wait "${pids[0]}" 2>/dev/null || true
        pids=()
        # Merged-away segments stay for a grace after which no query can hold them: what counts is what is live.
        [ "$peer" != lamella ] || "$target/lamella" segments ls --summary --data-dir "$work/data"
    done
done
