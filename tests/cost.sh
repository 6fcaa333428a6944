#!/usr/bin/env bash
# An hour of set S (10,000 series, a sample each 15 s, 2,000 samples a request) through the functions' real binaries, minute by minute,
# each minute followed by a run of fn-compact as the schedule has it; the calls to S3 and DynamoDB, at list prices, against `lamella cost`.
# It takes three minutes and is not in tests/run. What a function's time costs is not told by this machine's clock, and left out of both.
#
#   cargo build --release --workspace --bins --tests; eval "$(localstack/servers.sh start)"; tests/cost.sh [MINUTES=60]
#   FUNCTIONS_PORT=19140                     and the two after it are used
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LAMELLA_TEST_S3_ENDPOINT:?start the servers first: eval \"\$(localstack/servers.sh start)\"}"
: "${LAMELLA_TEST_DYNAMODB_ENDPOINT:?start the servers first: eval \"\$(localstack/servers.sh start)\"}"
minutes=${1:-60}
target=${CARGO_TARGET_DIR:-target}/release
python=${LAMELLA_CACHE:-target/servers}/moto/bin/python # has PyYAML
port=${FUNCTIONS_PORT:-19140}
name=cost-$(date +%s)
work=$(mktemp -d)
pids=()
finish() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 5 "$work"/*.log >&2 || true
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export LAMELLA_STORAGE=aws LAMELLA_BUCKET=$name LAMELLA_TABLE=$name LAMELLA_CREATE=true LAMELLA_LOG=warn
"$python" tests/infra.py proxy all "$((port + 1))=$LAMELLA_TEST_S3_ENDPOINT" "$((port + 2))=$LAMELLA_TEST_DYNAMODB_ENDPOINT" "$work/calls" &
pids+=($!)
cargo lambda watch --only-lambda-apis --ignore-changes --invoke-address 127.0.0.1 --invoke-port "$port" >"$work/emulator.log" 2>&1 &
pids+=($!)
for service in "$port" $((port + 1)) $((port + 2)); do
    for _ in $(seq 200); do
        (exec 3<>"/dev/tcp/127.0.0.1/$service") 2>/dev/null && continue 2
        sleep 0.1
    done
    echo "nobody listens on port $service" >&2
    exit 1
done
export LAMELLA_S3_ENDPOINT=http://127.0.0.1:$((port + 1)) LAMELLA_DYNAMODB_ENDPOINT=http://127.0.0.1:$((port + 2))
url=http://127.0.0.1:$port/lambda-url/fn-ingest
start() {
    AWS_LAMBDA_RUNTIME_API=http://127.0.0.1:$port/.rt/$1 AWS_LAMBDA_FUNCTION_NAME=$1 AWS_LAMBDA_FUNCTION_VERSION=1 \
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024 "$target/$1" >"$work/$1.log" 2>&1 &
    pids+=($!)
}
start fn-ingest # makes bucket and table, so that the other need not race for it
curl -sS -m 60 -o /dev/null "$url" # any answer says that it runs
start fn-compact

compact() {
    cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port "$port" fn-compact --data-ascii '{"source": "aws.scheduler"}' >>"$work/compact.log"
}
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
