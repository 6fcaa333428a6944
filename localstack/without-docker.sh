#!/usr/bin/env bash
# What docker-compose.yaml starts, as far as package registries and Debian have it: S3 and DynamoDB API servers (PyPI, npm), Lamella on
# them, a Prometheus that scrapes Lamella and node_exporter and remote-writes, and a log generator.
#
#   localstack/without-docker.sh start     up; builds lamella on first use; prints where things are
#   localstack/without-docker.sh stop      down, and nothing is kept but logs
#   localstack/without-docker.sh status
#
# Prometheus and node_exporter are Debian's packages and left out, by name, where they are not installed. So is Grafana, which no registry
# here has: point one at the URL. State is in $LAMELLA_CACHE (default target/servers); ports are this machine's only.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${LAMELLA_CACHE:-target/servers}
state=$cache/without-docker
port=${LAMELLA_PORT:-9009}
prometheus_port=${PROMETHEUS_PORT:-9090}
node_port=${NODE_EXPORTER_PORT:-9100}
target=${CARGO_TARGET_DIR:-target}/release
url=http://127.0.0.1:$port

# launch <name> <command…>: in the background, remembered, its output in a log.
launch() {
    local name=$1
    shift
    setsid "$@" >"$state/$name.log" 2>&1 </dev/null &
    echo $! >"$state/$name.pid"
}

# alive <pid file>
alive() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

# A line every 200 ms, pushed in batches of five, as an agent would.
generate() {
    local n=0 lines levels=(info info info warn error)
    while true; do
        lines=()
        for _ in 1 2 3 4 5; do
            n=$((n + 1))
            lines+=("[\"$(date +%s%N)\", \"level=${levels[n % 5]} msg=\\\"order $n\\\" path=/basket/$((n % 17)) ms=$((n * 37 % 900))\"]")
            sleep 0.2
        done
        curl -fsS -m 5 -H 'Content-Type: application/json' "$url/loki/api/v1/push" \
            -d "{\"streams\": [{\"stream\": {\"service_name\": \"shop\"}, \"values\": [$(IFS=,; echo "${lines[*]}")]}]}" || sleep 2
    done
}

up() {
    mkdir -p "$state"
    if alive "$state/lamella.pid"; then
        echo "it runs already: $url" >&2
        return
    fi
    [ -x "$target/lamella" ] || cargo build --release
    eval "$(LAMELLA_TEST_S3_PORT=${S3_PORT:-5005} LAMELLA_TEST_DYNAMODB_PORT=${DYNAMODB_PORT:-8100} localstack/servers.sh start)"
    launch lamella env LAMELLA_STORAGE=aws LAMELLA_BUCKET=lamella LAMELLA_TABLE=lamella LAMELLA_CREATE=true \
        LAMELLA_S3_ENDPOINT="$LAMELLA_TEST_S3_ENDPOINT" LAMELLA_DYNAMODB_ENDPOINT="$LAMELLA_TEST_DYNAMODB_ENDPOINT" \
        "$target/lamella" serve --listen "127.0.0.1:$port"
    for _ in $(seq 150); do
        if "$target/lamella" health --url "$url" >/dev/null 2>&1; then break; fi
        sleep 0.2
    done
    "$target/lamella" health --url "$url" >/dev/null || { tail -n 5 "$state/lamella.log" >&2; exit 1; }
    launch log-generator "$0" generate
    echo "Lamella             $url"
    echo "S3, DynamoDB        $LAMELLA_TEST_S3_ENDPOINT, $LAMELLA_TEST_DYNAMODB_ENDPOINT"
    scraped
}

scraped() {
    local jobs="  - { job_name: lamella, static_configs: [{ targets: ['127.0.0.1:$port'] }] }"
    if command -v prometheus-node-exporter >/dev/null; then
        launch node-exporter prometheus-node-exporter --web.listen-address="127.0.0.1:$node_port"
        jobs+=$'\n'"  - { job_name: node, static_configs: [{ targets: ['127.0.0.1:$node_port'] }] }"
    else
        echo "left out: node_exporter (apt-get install prometheus-node-exporter)"
    fi
    if ! command -v prometheus >/dev/null; then
        echo "left out: Prometheus (apt-get install prometheus)"
        return
    fi
    cat >"$state/prometheus.yml" <<YAML
global: { scrape_interval: 5s }
scrape_configs:
$jobs
remote_write:
  - { url: "$url/api/v1/write", queue_config: { retry_on_http_429: true } }
YAML
    launch prometheus prometheus --config.file="$state/prometheus.yml" --storage.tsdb.path="$state/prometheus-data" \
        --storage.tsdb.retention.time=2h --web.listen-address="127.0.0.1:$prometheus_port"
    echo "Prometheus          http://127.0.0.1:$prometheus_port"
}

down() {
    for name in log-generator prometheus node-exporter lamella; do
        if alive "$state/$name.pid"; then
            # The generator's group has its sleep and curl.
            kill -- "-$(cat "$state/$name.pid")" 2>/dev/null || true
        fi
        rm -f "$state/$name.pid"
    done
    localstack/servers.sh stop
    rm -rf "$state/prometheus-data"
}

status() {
    for name in lamella log-generator prometheus node-exporter; do
        if alive "$state/$name.pid"; then echo "$name runs"; else echo "$name does not run"; fi
    done
}

case ${1:-} in
start) up ;;
stop) down ;;
status) status ;;
generate) generate ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
