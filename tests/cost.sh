#!/usr/bin/env bash
# An hour of set S (10,000 series, a sample each 15 s, 2,000 samples a request) through the functions' real binaries, minute by minute,
# each minute followed by a run of fn-compact as the schedule has it; the calls to S3 and DynamoDB, at list prices, against `lamella cost`.
# Of fewer minutes the bill is told too, but an hour's merges are in the model: counted is then below it, and the script fails.
# It takes three minutes and is not in tests/run. What a function's time costs is not told by this machine's clock, and left out of both.
#
#   cargo build --release --workspace --bins --tests; eval "$(localstack/servers.sh start)"; tests/cost.sh [MINUTES=60]
#   FUNCTIONS_PORT=19140                     and the two after it are used
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-60}
port=${FUNCTIONS_PORT:-19140}
declare -A proxies=([fn-ingest]=$((port + 1)) [fn-compact]=$((port + 1)))
. tests/emulator.sh

export LAMELLA_LOG=warn
proxy all $((port + 1))
url=$emulator/lambda-url/fn-ingest
start fn-ingest # makes bucket and table, so that the other need not race for it
curl -sS -m 60 -o /dev/null "$url" # any answer says that it runs
start fn-compact

compact() { invoke_compact >>"$work/compact.log"; }
compact
: >"$work/calls" # making bucket and table is not part of the load
end_ms=$(($(date +%s) * 1000 - minutes * 60000))
for minute in $(seq "$minutes"); do
    # A connection has 2,000 of the series: every request is full.
    "$target/load" metrics --url "$url" --series 10000 --steps 4 --end-ms $((end_ms + minute * 60000)) --connections 5 >>"$work/load.log"
    compact
done
"$target/lamella" cost --samples-per-second "$(jq -n '10000 * 4 / 60')" --metrics-days 7 --json >"$work/model.json"
"$python" tests/infra.py bill "$work/model.json" "$((minutes * 60))" "$work/calls"
