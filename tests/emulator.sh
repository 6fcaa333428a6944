# Sourced: the functions' packages behind cargo-lambda's emulator on $port, on the servers of localstack/servers.sh. The script says in
# `proxies` at which port each function finds its S3, the next one is its DynamoDB; what it asks them is noted in $work/calls.
: "${LAMELLA_TEST_S3_ENDPOINT:?start the servers first: eval \"\$(localstack/servers.sh start)\"}"
: "${LAMELLA_TEST_DYNAMODB_ENDPOINT:?start the servers first: eval \"\$(localstack/servers.sh start)\"}"
target=${CARGO_TARGET_DIR:-target}/release
python=${LAMELLA_CACHE:-target/servers}/moto/bin/python # has PyYAML
emulator=http://127.0.0.1:$port
name=$(basename "$0" .sh)-$(date +%s)
. tests/scratch.sh
unset pids
declare -A pids=() # by name: functions are killed and started again

export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export LAMELLA_STORAGE=aws LAMELLA_BUCKET=$name LAMELLA_TABLE=$name LAMELLA_CREATE=true

# answering <port>…: waits until somebody listens on each.
answering() {
    local one
    for one in "$@"; do
        for _ in $(seq 200); do
            (exec 3<>"/dev/tcp/127.0.0.1/$one") 2>/dev/null && continue 2
            sleep 0.1
        done
        echo "nobody listens on port $one" >&2
        return 1
    done
}
# proxy <name> <port>: stands before both stores, and notes calls under the name.
proxy() {
    "$python" tests/infra.py proxy "$1" "$2=$LAMELLA_TEST_S3_ENDPOINT" "$(($2 + 1))=$LAMELLA_TEST_DYNAMODB_ENDPOINT" \
        "$work/calls" 2>"$work/proxy-$1.log" &
    pids[proxy-$1]=$!
    answering "$2" $(($2 + 1))
}
# start <function>: as Lambda does it, one process that asks the runtime interface for events.
start() {
    local proxy=${proxies[$1]}
    LAMELLA_S3_ENDPOINT=http://127.0.0.1:$proxy LAMELLA_DYNAMODB_ENDPOINT=http://127.0.0.1:$((proxy + 1)) \
        AWS_LAMBDA_RUNTIME_API=$emulator/.rt/$1 AWS_LAMBDA_FUNCTION_NAME=$1 AWS_LAMBDA_FUNCTION_VERSION=1 \
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024 "$target/$1" >>"$work/$1.log" 2>&1 &
    pids[$1]=$!
}
# Runs fn-compact as its schedule does, and prints its report.
invoke_compact() {
    cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port "$port" fn-compact --data-ascii '{"source": "aws.scheduler"}'
}

cargo lambda watch --only-lambda-apis --ignore-changes --invoke-address 127.0.0.1 --invoke-port "$port" >"$work/emulator.log" 2>&1 &
pids[emulator]=$!
answering "$port"
