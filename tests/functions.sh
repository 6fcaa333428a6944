#!/usr/bin/env bash
# The Lambda packages run behind cargo-lambda's runtime emulator against real S3 and DynamoDB API servers: a real Prometheus
# remote-writes to fn-ingest, the same queries are answered by fn-query and by Prometheus, logs are pushed and read back,
# fn-compact runs in between, fn-ingest is killed and started again under writes. Each function reaches the stores through a proxy that
# notes its calls: what it may do (SAM, Terraform) must be what it does (tests/infra.py). Then both ask for credentials.
#
#   cargo build --release --workspace --bins --tests; eval "$(localstack/servers.sh start)"; tests/functions.sh [SECONDS=120]
#   FUNCTIONS_PORT=19120                     and the ten after it are used
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-120}
port=${FUNCTIONS_PORT:-19120}
writers=()
declare -A proxies=([fn-ingest]=$((port + 1)) [fn-query]=$((port + 3)) [fn-compact]=$((port + 5)))
. tests/emulator.sh

for function in fn-ingest fn-query fn-compact; do
    proxy "${function#fn-}" "${proxies[$function]}"
done
start fn-query # makes the table and the bucket, so that the others need not race for it
curl -fsS -m 60 "$emulator/lambda-url/fn-query/ready"
start fn-ingest
start fn-compact

export LAMELLA_URL=$emulator/lambda-url/fn-query LAMELLA_WRITE_URL=$emulator/lambda-url/fn-ingest
compact() {
    local report
    report=$(invoke_compact)
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
    : >"$work/acknowledged"
    for writer in 0 1 2 3; do
        (
            for line in $(seq $((writer * 1000 + 1)) $((writer * 1000 + 60))); do
                until push "$line"; do sleep 0.1; done
                echo "$line" >>"$work/acknowledged"
            done
        ) &
        writers[writer]=$!
    done
    for lines in 30 120; do
        while [ "$(wc -l <"$work/acknowledged")" -lt "$lines" ]; do sleep 0.01; done
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
PROMETHEUS_TEST_PORT=$((port + 8)) tests/prometheus.sh "$seconds"
wait "$merge"

seq -f 'level=info line=%.0f of the made file' 20000 >"$work/made.log"
roundtrip() {
    "$target/load" roundtrip --url "$LAMELLA_URL" --push-url "$LAMELLA_WRITE_URL" --start-ns "$((began_ns - 3600000000000))" "$@" "$work/made.log"
}
roundtrip
compact
roundtrip --verify-only
kill_under_writes

# What a query writes: a deletion request, made and taken back, and that a segment is corrupt.
deletion() { curl -fsS -o /dev/null "$@" "$LAMELLA_URL/loki/api/v1/delete"; }
deletion -X POST -G --data-urlencode 'query={job="kill"}' --data "start=${began_ns%?????????}" --data "end=$((${began_ns%?????????} + 1))"
id=$(curl -fsS "$LAMELLA_URL/loki/api/v1/delete" | jq -r '.[0].request_id')
deletion -X DELETE -G --data "request_id=$id"
[ "$(curl -fsS "$LAMELLA_URL/loki/api/v1/delete" | jq length)" = 0 ] || { echo "a deletion request was not taken back" >&2; exit 1; }
"$python" tests/infra.py check "$work/calls"

# The same functions with accounts: read from Secrets Manager's extension, whose part a file server plays.
restart_with_accounts() {
    local made
    made=$("$target/lamella" credentials new sender --tenants anonymous --roles read,write --json)
    secret=$(jq -r .secret <<<"$made")
    mkdir -p "$work/extension/secretsmanager"
    jq -n --arg text "accounts: [$(jq -c .account <<<"$made")]" '{SecretString: $text}' >"$work/extension/secretsmanager/get"
    python3 -m http.server --directory "$work/extension" --bind 127.0.0.1 "$((port + 7))" >/dev/null 2>&1 &
    pids[extension]=$!
    answering $((port + 7))
    export LAMELLA_CREDENTIALS_SECRET=arn:aws:secretsmanager:us-east-1:000000000000:secret:lamella
    export PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=$((port + 7)) AWS_SESSION_TOKEN=test
    for function in fn-ingest fn-query; do
        kill "${pids[$function]}"
        wait "${pids[$function]}" 2>/dev/null || true
        start "$function"
    done
}
answers() {
    local want=$1 got
    shift
    got=$(curl -s -m 20 -o /dev/null -w '%{http_code}' "$@")
    [ "$got" = "$want" ] || { echo "status $got, expected $want" >&2; return 1; }
}
restart_with_accounts
entry=(-H 'Content-Type: application/json' -d '{"streams": [{"stream": {"job": "edge"}, "values": [["'"$(date +%s%N)"'", "x"]]}]}')
answers 401 "${entry[@]}" -H 'X-Scope-OrgID: anonymous' "$LAMELLA_WRITE_URL/loki/api/v1/push"
answers 204 "${entry[@]}" -H "Authorization: Bearer $secret" "$LAMELLA_WRITE_URL/loki/api/v1/push"
answers 403 "${entry[@]}" -H "Authorization: Bearer $secret" -H 'X-Scope-OrgID: other' "$LAMELLA_WRITE_URL/loki/api/v1/push"
answers 401 "$LAMELLA_URL/loki/api/v1/labels"
answers 200 -u "sender:$secret" "$LAMELLA_URL/loki/api/v1/labels"
answers 403 -u "sender:$secret" -X POST "$LAMELLA_URL/loki/api/v1/delete?query=%7Bjob%3D%22edge%22%7D&start=1"
! grep -rqF -- "$secret" "$work"/fn-*.log || { echo "a secret is in a log" >&2; exit 1; }
echo "the functions let in whom they should"
