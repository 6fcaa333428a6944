#!/usr/bin/env bash
# Random series on Lamella and on a real Prometheus, random queries to both: every answer must be the same.
#
#   tests/differential.sh [QUERIES=1000] [SEED=1]    needs Debian's prometheus
#   PORT=19119                                       of Lamella; Prometheus has the next one
#   PROMETHEUS=…/prometheus DIALECT=v3               another Prometheus; v3 compares error texts, warnings and infos too
set -euo pipefail
cd "$(dirname "$0")/.."
queries=${1:-1000}
seed=${2:-1}
target=${CARGO_TARGET_DIR:-target}/release
prometheus=${PROMETHEUS:-prometheus}
command -v "$prometheus" >/dev/null || { echo "missing: $prometheus (apt-get install prometheus)" >&2; exit 2; }

. tests/scratch.sh

ours=http://127.0.0.1:${PORT:-19119}
theirs=http://127.0.0.1:$((${PORT:-19119} + 1))
features=()
[ "${DIALECT:-v2}" = v3 ] && features=(--enable-feature=promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers)
"$target/lamella" serve --data-dir "$work/lamella" --listen "${ours#http://}" --linger-ms 20 "${features[@]}" >"$work/lamella.log" 2>&1 &
pids+=($!)
echo 'global: {scrape_interval: 15s}' >"$work/prometheus.yml"
"$prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" --web.listen-address="${theirs#http://}" \
    --web.enable-remote-write-receiver "${features[@]}" >"$work/prometheus.log" 2>&1 &
pids+=($!)
for url in "$ours" "$theirs"; do
    curl -sf --retry 50 --retry-delay 1 --retry-all-errors -o /dev/null "$url/-/ready"
done
"$target/load" differential --url "$ours" --against "$theirs" --dialect "${DIALECT:-v2}" --queries "$queries" --seed "$seed" \
    --end-ms "$(date +%s)000"
