#!/usr/bin/env bash
# Blocks of a real Prometheus are imported, and the same queries are sent to both: the same series and values must come back.
# Half of the blocks are made by promtool from OpenMetrics text, half are what Prometheus scraped from itself within SECONDS, native
# histograms among them, a deleted range included. The import is cut short once by kill -9, run again, and run a third time, which
# must find nothing left to do.
#
#   tests/import.sh [SECONDS=100]  at least 90; needs prometheus and promtool; PROMETHEUS and PROMTOOL name others than those on the PATH
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-100}
prometheus=${PROMETHEUS:-prometheus}
promtool=${PROMTOOL:-promtool}
lamella=${CARGO_TARGET_DIR:-target}/release/lamella
load=${CARGO_TARGET_DIR:-target}/release/load
port=${PORT_BASE:-19120}
for program in "$prometheus" "$promtool"; do
    command -v "$program" >/dev/null || { echo "missing: $program (apt-get install prometheus)" >&2; exit 2; }
done

. tests/scratch.sh

ready() {
    for _ in $(seq 150); do
        curl -fsS "$1" >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "$1 does not answer" >&2
    exit 1
}

# A day of 40 series, ended four hours ago: counters with resets far from zero (where 2.42 extrapolates otherwise), gauges with gaps.
now=$(date +%s)
from=$(((now - 28 * 3600) / 60 * 60))
awk -v from="$from" 'BEGIN {
    print "# TYPE shop_orders counter"
    for (host = 0; host < 20; host++) {
        value = 100000
        for (at = 0; at < 86400; at += 30) {
            value = (at % (7200 + host * 600) == 0) ? 100000 : value + (at / 30 + host) % 7
            printf "shop_orders_total{host=\"host-%d\",zone=\"%s\"} %d %d\n", host, host % 3, value, from + at
        }
    }
    print "# TYPE shop_temperature gauge"
    for (host = 0; host < 20; host++)
        for (at = 0; at < 86400; at += 30)
            if ((at / 1800) % 9 != host % 9)
                printf "shop_temperature{host=\"host-%d\"} %.3f %d\n", host, 20 + 5 * sin(at / 3000 + host), from + at
    print "# EOF"
}' >"$work/text"
"$promtool" tsdb create-blocks-from openmetrics "$work/text" "$work/tsdb" >"$work/promtool.log"

cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 2s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['127.0.0.1:$port']}]
YAML
"$prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="127.0.0.1:$port" \
    --web.enable-admin-api --enable-feature=native-histograms >"$work/prometheus.log" 2>&1 &
pids+=($!)
ready "http://127.0.0.1:$port/-/ready"
echo "scraping itself every 2 s for $seconds s"
sleep "$seconds"
# A deletion stays a tombstone until the next compaction: the import must read it.
curl -fsS -g -X POST "http://127.0.0.1:$port/api/v1/admin/tsdb/delete_series?match[]=shop_temperature{host=~\"host-1.\"}&start=$((from + 20000))&end=$((from + 30000))"
until=$(date +%s)
snapshot=$(curl -fsS -X POST "http://127.0.0.1:$port/api/v1/admin/tsdb/snapshot" | sed -E 's/.*"name":"([^"]+)".*/\1/')

import() { "$lamella" import prometheus "$work/tsdb/snapshots/$snapshot" --data-dir "$work/lamella" "$@"; }
# Not the function: the signal has to reach the program.
"$lamella" import prometheus "$work/tsdb/snapshots/$snapshot" --data-dir "$work/lamella" >"$work/first.log" 2>&1 &
killed=$!
sleep 0.1
kill -9 "$killed" 2>/dev/null || true
wait "$killed" 2>/dev/null || true
import
import --json >"$work/again.json"
grep -q '"state": "unchanged"' "$work/again.json" || { echo "a second run finds no block unchanged" >&2; exit 1; }
if grep -qE '"state": "(imported|resumed)"' "$work/again.json" || ! grep -qE '^  "samples": 0' "$work/again.json"; then
    echo "a second run wrote something:" >&2
    cat "$work/again.json" >&2
    exit 1
fi

"$lamella" serve --data-dir "$work/lamella" --listen "127.0.0.1:$((port + 1))" >"$work/lamella.log" 2>&1 &
pids+=($!)
ready "http://127.0.0.1:$((port + 1))/ready"
compare() {
    "$load" compare --url "http://127.0.0.1:$((port + 1))" --against "http://127.0.0.1:$port" --queries "$1" --start "$2.437" --end "$3.437"
}
compare tests/data/import-text.queries $((from + 3600)) $((from + 85000))
# Not the first minute: Debian's 2.42 extrapolates counters that have just begun otherwise than 3.x does, which is what Lamella follows.
compare tests/data/import-scraped.queries $((until - seconds + 70)) $((until - 6))
