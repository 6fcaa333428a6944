#!/usr/bin/env bash
# Two real Prometheus servers that scrape the same node_exporter send to two Lamellas: one takes in whom it elects, the other stores both,
# which are made one when asked. The one elected is killed, the other takes over, the first comes back.
#
#   tests/replicas.sh                        about a minute; needs Debian's prometheus and prometheus-node-exporter
#   REPLICAS_TEST_PORT=19209                 the first port; the four after it are used
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
port=${REPLICAS_TEST_PORT:-19209}
for program in prometheus prometheus-node-exporter python3; do
    command -v "$program" >/dev/null || { echo "missing: $program (apt-get install prometheus prometheus-node-exporter python3)" >&2; exit 2; }
done

. tests/scratch.sh

cat >"$work/limits.yml" <<YAML
limits_config:
  accept_ha_samples: true
  ha_tracker_update_timeout: 4s
  ha_tracker_update_timeout_jitter_max: 1s
  ha_tracker_failover_timeout: 10s
YAML
electing=http://127.0.0.1:$port storing=http://127.0.0.1:$((port + 1)) node=127.0.0.1:$((port + 2))
serve() { # NAME URL
    "$target/lamella" serve --data-dir "$work/lamella-$1" --listen "${2#http://}" >"$work/lamella-$1.log" 2>&1 &
    pids+=($!)
}
LAMELLA_LIMITS_FILE=$work/limits.yml serve electing "$electing"
serve storing "$storing"
prometheus-node-exporter --web.listen-address="$node" >"$work/node_exporter.log" 2>&1 &
pids+=($!)

replica() { # NAME PORT: starts one, whose process is the last of pids
    local name=$1
    cat >"$work/$name.yml" <<YAML
global:
  scrape_interval: 2s
  external_labels: {cluster: c, __replica__: $name}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ['$node']}]
remote_write:
  - {url: '$electing/api/v1/write', queue_config: {batch_send_deadline: 1s}}
  - {url: '$storing/api/v1/write', queue_config: {batch_send_deadline: 1s}}
YAML
    prometheus --config.file="$work/$name.yml" --storage.tsdb.path="$work/$name" --web.listen-address=127.0.0.1:"$2" \
        --storage.remote.flush-deadline=1s >>"$work/$name.log" 2>&1 &
    pids+=($!)
}

replica a $((port + 3))
a=${pids[-1]}
sleep 5 # so that it is the one elected
replica b $((port + 4))
echo "both scrape for 20 s, a is killed for 25 s, and comes back for 15 s"
sleep 20
killed=$(date +%s)
kill -9 "$a"
sleep 25
replica a $((port + 3))
sleep 15
tests/replicas.py "$electing" "$storing" "$killed"
