#!/usr/bin/env bash
# The real binary is killed, and then asked to stop, under load again and again: nothing acknowledged may be missing or doubled.
# On a directory, and on the S3 and DynamoDB API servers of localstack/servers.sh where they run.
#
#   tests/crash.sh [ROUNDS=5]
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
"$target/suite" sigkill --rounds "${1:-5}"
"$target/suite" sigkill --rounds 2 --terminate
if [ -n "${LAMELLA_TEST_S3_ENDPOINT:-}" ] && [ -n "${LAMELLA_TEST_DYNAMODB_ENDPOINT:-}" ]; then
    "$target/suite" sigkill --rounds "${1:-5}" --storage aws
fi
