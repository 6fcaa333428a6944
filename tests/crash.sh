#!/usr/bin/env bash
# The real binary is killed under load, started again and asked for every sample: nothing acknowledged may be missing or doubled.
#
#   tests/crash.sh [KILLS=5]
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$target/load" durability --binary "$target/lamella" --data-dir "$work" --kills "${1:-5}" --now-ms "$(date +%s)000"
