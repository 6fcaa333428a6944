#!/usr/bin/env bash
# The real binary is killed, and then asked to stop, under load, started again and asked for every sample: nothing acknowledged may be missing or doubled.
#
#   tests/crash.sh [KILLS=5]
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for how in "" --terminate; do
    rm -rf "$work"/*
    "$target/load" durability $how --binary "$target/lamella" --data-dir "$work" --kills "${1:-5}" --now-ms "$(date +%s)000"
done
