#!/usr/bin/env bash
# The log queries L1 and L4 to L9 of Lamella and of ClickHouse (chDB, from PyPI), on the same lines: answers compared, then CPU of each.
#
#   tests/bench-logs.sh [MEBIBYTES=512]      64 at least
# Both run inside their process, on processor 0 alone, with everything at hand in memory or in the page cache; nothing that was
# decoded or answered is kept between queries.
set -euo pipefail
cd "$(dirname "$0")/.."
mebibytes=${1:-512}
[ "$mebibytes" -ge 64 ] || { echo "no line of fewer than 64 MiB holds the needle of L1" >&2; exit 2; }
. tests/scratch.sh

python3 -m venv "$work/python"
"$work/python/bin/pip" install --quiet chdb==4.4.0
cargo bench --quiet -p engine --bench logs --no-run
bench=$(cargo bench -p engine --bench logs --no-run 2>&1 | sed -n 's/.*(\(.*\/logs-[0-9a-f]*\))$/\1/p')
queries="L1 L4 L4b L4l L5 L6 L7 L8 L9"
"$bench" "$mebibytes" lines >"$work/lines.tsv"
"$bench" "$mebibytes" answers $queries >"$work/answers.tsv"
taskset -c 0 "$bench" "$mebibytes" $queries | tee "$work/lamella.txt"
taskset -c 0 "$work/python/bin/python" tests/bench_logs.py "$work"
