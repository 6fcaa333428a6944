#!/usr/bin/env bash
# A real Prometheus scrapes itself and a real node_exporter and remote-writes to Lamella; after SECONDS the queries of
# tests/data/node-exporter.queries are sent to both and must answer the same series and values.
# Then every query of the Grafana dashboards is asked, and must return data.
#
#   tests/prometheus.sh [SECONDS=600]        at least 90; needs Debian's prometheus and prometheus-node-exporter
#   LAMELLA_URL=http://… tests/prometheus.sh uses a Lamella that runs already (such as the functions behind an emulator)
#   PROMETHEUS_TEST_PORT=19109               and the two after it are used
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
target=${CARGO_TARGET_DIR:-target}/release
port=${PROMETHEUS_TEST_PORT:-19109}
node_port=$((port + 1))
prometheus_port=$((port + 2))
for program in prometheus prometheus-node-exporter; do
    command -v "$program" >/dev/null || { echo "missing: $program (apt-get install prometheus prometheus-node-exporter)" >&2; exit 2; }
done

. tests/scratch.sh

dashboards=(node)
jobs=
if [ -z "${LAMELLA_URL:-}" ]; then
    LAMELLA_URL=http://127.0.0.1:$port
    dashboards=()
    jobs="
  - job_name: lamella
    static_configs: [{targets: ['127.0.0.1:$port']}]"
    "$target/lamella" serve --data-dir "$work/lamella" --listen 127.0.0.1:$port >"$work/lamella.log" 2>&1 &
    pids+=($!)
fi
write_url=${LAMELLA_WRITE_URL:-$LAMELLA_URL}/api/v1/write

prometheus-node-exporter --web.listen-address=127.0.0.1:$node_port >"$work/node_exporter.log" 2>&1 &
pids+=($!)
cat >"$work/prometheus.yml" <<YAML
global:
  scrape_interval: 3s
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['127.0.0.1:$prometheus_port']}]
  - job_name: node
    static_configs: [{targets: ['127.0.0.1:$node_port']}]$jobs
remote_write:
  - url: $write_url
    queue_config: {batch_send_deadline: 1s}
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" \
    --web.listen-address=127.0.0.1:$prometheus_port >"$work/prometheus.log" 2>&1 &
pids+=($!)

echo "scraping every 3 s for $seconds s; remote write to $write_url"
started=$(date +%s)
sleep "$seconds"
now=$(date +%s)
curl -fsS -H 'Content-Type: application/json' "${LAMELLA_WRITE_URL:-$LAMELLA_URL}/loki/api/v1/push" -d "{\"streams\": [{\"stream\": {\"app\": \"shop\"},
    \"values\": [[\"$((now - 90))000000000\", \"level=info msg=ok\"], [\"$((now - 70))000000000\", \"level=error msg=bad\"]]}]}"
if command -v python3 >/dev/null; then
    tests/dashboards.py "$LAMELLA_URL" "${dashboards[@]}"
fi
# What was scraped in the last seconds may still be on its way: ask for what is older. The first minute is left out: Debian's
# Prometheus 2.42 extrapolates counters that have just begun otherwise than 3.x does, which is what Lamella follows.
end=$(($(date +%s) - 8))
"$target/load" compare --url "$LAMELLA_URL" --against http://127.0.0.1:$prometheus_port --queries tests/data/node-exporter.queries \
    --start "$((started + 70)).437" --end "$end.437"
