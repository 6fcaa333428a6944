#!/usr/bin/env bash
# Real S3 and DynamoDB API servers for tests, from package registries, without a container engine.
#
#   localstack/servers.sh start    installs on first use, starts both, prints the exports the tests read
#   localstack/servers.sh env      prints the exports
#   localstack/servers.sh stop     stops what start started
#
# S3 is moto's (s3.py), DynamoDB is dynalite; cfn-lint, which moto needs too, checks templates in tests/infra.py. Everything lives in
# $LAMELLA_CACHE (default target/servers), outside git.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${LAMELLA_CACHE:-$root/target/servers}
s3_port=${LAMELLA_TEST_S3_PORT:-5005}
dynamodb_port=${LAMELLA_TEST_DYNAMODB_PORT:-8100}

install() {
    mkdir -p "$cache"
    if [ ! -x "$cache/moto/bin/moto_server" ]; then
        python3 -m venv "$cache/moto"
        "$cache/moto/bin/pip" install --quiet "moto[server,s3]==5.2.5" "cfn-lint==1.58.0" >&2
    fi
    if [ ! -f "$cache/dynalite/node_modules/dynalite/cli.js" ]; then
        mkdir -p "$cache/dynalite"
        # Scripts are not run: the store is in memory, leveldb's native build is not needed.
        npm install --prefix "$cache/dynalite" --ignore-scripts --no-audit --no-fund --silent "dynalite@4" >&2
    fi
}

# launch <name> <port> <command...>: starts unless running, waits until the port answers.
launch() {
    local name=$1-$2 port=$2
    local pid_file="$cache/$name.pid"
    shift 2
    if [ -f "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; then
        return
    fi
    nohup "$@" >"$cache/$name.log" 2>&1 </dev/null &
    echo $! >"$pid_file"
    for _ in $(seq 150); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return
        fi
        sleep 0.2
    done
    echo "$name does not answer on port $port; see $cache/$name.log" >&2
    exit 1
}

stop() {
    for name in "moto-$s3_port" "dynalite-$dynamodb_port"; do
        local pid_file="$cache/$name.pid"
        if [ -f "$pid_file" ]; then
            kill "$(cat "$pid_file")" 2>/dev/null || true
            rm -f "$pid_file"
        fi
    done
}

env_exports() {
    cat <<EXPORTS
export LAMELLA_TEST_S3_ENDPOINT=http://127.0.0.1:$s3_port
export LAMELLA_TEST_DYNAMODB_ENDPOINT=http://127.0.0.1:$dynamodb_port
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
EXPORTS
}

case ${1:-} in
start)
    install
    launch moto "$s3_port" "$cache/moto/bin/python" "$root/localstack/s3.py" 127.0.0.1 "$s3_port"
    launch dynalite "$dynamodb_port" node "$cache/dynalite/node_modules/dynalite/cli.js" --port "$dynamodb_port" --createTableMs 0
    env_exports
    ;;
env) env_exports ;;
stop) stop ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
