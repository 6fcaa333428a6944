#!/usr/bin/env bash
# The Lambda packages run behind cargo-lambda's runtime emulator against real S3 and DynamoDB API servers: a real Prometheus
# remote-writes to fn-ingest, the same queries are answered by fn-query and by Prometheus, logs are pushed and read back,
# fn-compact runs in between, fn-ingest is killed and started again under writes.
#
#   eval "$(localstack/servers.sh start)"; tests/functions.sh [SECONDS=120]
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LAMELLA_TEST_S3_ENDPOINT:?start the servers first: eval \"\$(localstack/servers.sh start)\"}"
: "${LAMELLA_TEST_DYNAMODB_ENDPOINT:?start the servers first: eval \"\$(localstack/servers.sh start)\"}"
seconds=${1:-120}
target=${CARGO_TARGET_DIR:-target}/release
port=19120
emulator=http://127.0.0.1:$port
name=functions-$(date +%s)
work=$(mktemp -d)
declare -A pids=()
writers=()

export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export LAMELLA_STORAGE=aws LAMELLA_BUCKET=$name LAMELLA_TABLE=$name LAMELLA_CREATE=true
export LAMELLA_S3_ENDPOINT=$LAMELLA_TEST_S3_ENDPOINT LAMELLA_DYNAMODB_ENDPOINT=$LAMELLA_TEST_DYNAMODB_ENDPOINT

finish() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 20 "$work"/{emulator,fn-*}.log >&2 || true
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# start <function>: as Lambda does it, one process that asks the runtime interface for events.
start() {
    AWS_LAMBDA_RUNTIME_API=$emulator/.rt/$1 AWS_LAMBDA_FUNCTION_NAME=$1 AWS_LAMBDA_FUNCTION_VERSION=1 \
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024 "$target/$1" >>"$work/$1.log" 2>&1 &
    pids[$1]=$!
}

# The selection of packages that tests/run builds: another one would unify features anew and build the dependencies again.
cargo build --release --workspace --bins --tests
cargo lambda watch --only-lambda-apis --ignore-changes --invoke-address 127.0.0.1 --invoke-port "$port" >"$work/emulator.log" 2>&1 &
pids[emulator]=$!
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
done
start fn-query # makes the table and the bucket, so that the others need not race for it
curl -fsS -m 60 "$emulator/lambda-url/fn-query/ready"
start fn-ingest
start fn-compact

export LAMELLA_URL=$emulator/lambda-url/fn-query LAMELLA_WRITE_URL=$emulator/lambda-url/fn-ingest
compact() {
    local report
    report=$(cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port "$port" fn-compact --data-ascii '{"source": "aws.scheduler"}')
    echo "fn-compact: $report"
    jq -e '.failed == 0 and (.outOfTime | not)' <<<"$report" >/dev/null
}

# push <n>: line n, at a time of its own, so that a retry is the same entry.
began_ns=$(($(date +%s) - 1800))000000000
push() {
    local body="{\"streams\": [{\"stream\": {\"job\": \"kill\"}, \"values\": [[\"$((began_ns + $1))\", \"$1\"]]}]}"
    curl -fs -m 3 -o /dev/null -H 'Content-Type: application/json' -d "$body" "$LAMELLA_WRITE_URL/loki/api/v1/push"
}
# SIGKILL at a moment of a request's middle; writers keep trying, as Promtail does, until a line is acknowledged.
kill_under_writes() {
    for writer in 0 1 2 3; do
        (
            for line in $(seq $((writer * 1000 + 1)) $((writer * 1000 + 60))); do
                until push "$line"; do sleep 0.1; done
                echo "$line" >>"$work/acknowledged"
            done
        ) &
        writers[writer]=$!
    done
    for pause in 0.31 0.47; do
        sleep "$pause"
        kill -9 "${pids[fn-ingest]}"
        wait "${pids[fn-ingest]}" 2>/dev/null || true
        echo "fn-ingest killed at $(wc -l <"$work/acknowledged") of 240 lines acknowledged"
        start fn-ingest
    done
    wait "${writers[@]}"
    curl -fsS -G "$LAMELLA_URL/loki/api/v1/query_range" --data-urlencode 'query={job="kill"}' --data "limit=5000" \
        --data "start=$began_ns" --data "end=$((began_ns + 10000))" | jq -r '.data.result[].values[][1]' | sort >"$work/read"
    diff <(sort "$work/acknowledged") "$work/read" || { echo "lines lost or doubled" >&2; return 1; }
    echo "240 lines acknowledged, each there once"
}

(
    sleep $((seconds > 15 ? seconds - 15 : 1))
    compact
) &
merge=$!
tests/prometheus.sh "$seconds"
wait "$merge"

seq -f 'level=info line=%.0f of the made file' 20000 >"$work/made.log"
roundtrip() {
    "$target/load" roundtrip --url "$LAMELLA_URL" --push-url "$LAMELLA_WRITE_URL" --start-ns "$((began_ns - 3600000000000))" "$@" "$work/made.log"
}
roundtrip
compact
roundtrip --verify-only
kill_under_writes
