#!/usr/bin/env bash
# A real Prometheus scrapes itself and a real node_exporter and remote-writes to Lamella; after SECONDS the queries of
# tests/data/node-exporter.queries are sent to both and must answer the same series and values.
#
#   tests/prometheus.sh [SECONDS=600]        at least 90; needs Debian's prometheus and prometheus-node-exporter
#   LAMELLA_URL=http://… tests/prometheus.sh uses a Lamella that runs already (such as the functions behind an emulator)
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
target=${CARGO_TARGET_DIR:-target}/release
for program in prometheus prometheus-node-exporter; do
    command -v "$program" >/dev/null || { echo "missing: $program (apt-get install prometheus prometheus-node-exporter)" >&2; exit 2; }
done

work=$(mktemp -d)
pids=()
finish() {
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

if [ -z "${LAMELLA_URL:-}" ]; then
    LAMELLA_URL=http://127.0.0.1:19109
    "$target/lamella" serve --data-dir "$work/lamella" --listen 127.0.0.1:19109 >"$work/lamella.log" 2>&1 &
    pids+=($!)
fi
write_url=${LAMELLA_WRITE_URL:-$LAMELLA_URL}/api/v1/write

prometheus-node-exporter --web.listen-address=127.0.0.1:19110 >"$work/node_exporter.log" 2>&1 &
pids+=($!)
cat >"$work/prometheus.yml" <<YAML
global:
  scrape_interval: 3s
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['127.0.0.1:19111']}]
  - job_name: node
    static_configs: [{targets: ['127.0.0.1:19110']}]
remote_write:
  - url: $write_url
    queue_config: {batch_send_deadline: 1s}
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" \
    --web.listen-address=127.0.0.1:19111 >"$work/prometheus.log" 2>&1 &
pids+=($!)

echo "scraping every 3 s for $seconds s; remote write to $write_url"
started=$(date +%s)
sleep "$seconds"
# What was scraped in the last seconds may still be on its way: ask for what is older. The first minute is left out: Debian's
# Prometheus 2.42 extrapolates counters that have just begun otherwise than 3.x does, which is what Lamella follows.
end=$(($(date +%s) - 8))
"$target/load" compare --url "$LAMELLA_URL" --against http://127.0.0.1:19111 --queries tests/data/node-exporter.queries \
    --start "$((started + 70)).437" --end "$end.437" || {
    tail -20 "$work"/lamella.log "$work"/prometheus.log 2>/dev/null || true
    exit 1
}
