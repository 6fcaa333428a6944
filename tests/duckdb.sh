#!/usr/bin/env bash
# Compacted segments are ordinary Parquet: DuckDB must select from them exactly what our own reader finds.
#
#   tests/duckdb.sh [DIR]     DIR keeps the files (default: a temporary one)
#
# DuckDB comes from PyPI into $LAMELLA_CACHE (default target/servers), outside git.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${LAMELLA_CACHE:-$root/target/servers}
cd "$root"
if [ ! -x "$cache/duckdb/bin/python" ]; then
    mkdir -p "$cache"
    python3 -m venv "$cache/duckdb"
fi
"$cache/duckdb/bin/python" -c 'import duckdb' 2>/dev/null || "$cache/duckdb/bin/pip" install --quiet "duckdb==2.0.0" >&2
dir=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"
# The workspace's feature selection, as everywhere in tests/run: another one would build the dependencies again.
cargo build --quiet --release --workspace --example foreign
target/release/examples/foreign "$dir"
"$cache/duckdb/bin/python" tests/foreign.py "$dir"
