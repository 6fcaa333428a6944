#!/usr/bin/env bash
# The Lambda packages run behind cargo-lambda's runtime emulator against real S3 and DynamoDB API servers: a real Prometheus
# remote-writes to fn-ingest, the same queries are answered by fn-query and by Prometheus, logs are pushed and read back,
# fn-compact runs in between.
#
#   eval "$(localstack/servers.sh start)"; tests/functions.sh [SECONDS=100]
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LAMELLA_TEST_S3_ENDPOINT:?start the servers first: eval \"\$(localstack/servers.sh start)\"}"
: "${LAMELLA_TEST_DYNAMODB_ENDPOINT:?start the servers first: eval \"\$(localstack/servers.sh start)\"}"
seconds=${1:-100}
port=19120
emulator=http://127.0.0.1:$port
name=functions-$(date +%s)
log=$(mktemp)

export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1
export LAMELLA_STORAGE=aws LAMELLA_BUCKET=$name LAMELLA_TABLE=$name LAMELLA_CREATE=true
export LAMELLA_S3_ENDPOINT=$LAMELLA_TEST_S3_ENDPOINT LAMELLA_DYNAMODB_ENDPOINT=$LAMELLA_TEST_DYNAMODB_ENDPOINT

cargo lambda watch --invoke-address 127.0.0.1 --invoke-port "$port" --ignore-changes --release >"$log" 2>&1 &
pid=$!
finish() {
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    rm -f "$log"
}
trap finish EXIT

# The first call to a function builds and starts it.
ready() {
    for _ in $(seq 600); do
        curl -fs -m 590 "$emulator/lambda-url/$1" >/dev/null && return
        sleep 1
    done
    echo "$1 did not answer" >&2
    tail -40 "$log" >&2
    exit 1
}
ready fn-query/-/ready
curl -s -m 590 -o /dev/null "$emulator/lambda-url/fn-ingest/"

export LAMELLA_URL=$emulator/lambda-url/fn-query LAMELLA_WRITE_URL=$emulator/lambda-url/fn-ingest
compact() {
    cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port "$port" fn-compact --data-ascii '{"source": "aws.scheduler", "detail": {}}'
    echo
}
tests/prometheus.sh "$seconds" || { tail -40 "$log" >&2; exit 1; }
compact
tests/logs.sh || { tail -40 "$log" >&2; exit 1; }
compact
