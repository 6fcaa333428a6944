#!/usr/bin/env bash
# Fuzzes targets one after another with libFuzzer: tests/fuzz.sh SECONDS [TARGET…]; all of them by default.
# Wants a nightly toolchain and cargo-fuzz (cargo install cargo-fuzz).
#
#   FUZZ_DIR=DIR    where corpora and findings are kept (default target/fuzz)
#   MEMORY_MB=N     what one input may make the process grow to (default 1024)
# An input that breaks something is written to FUZZ_DIR/findings; once mended it becomes a file in tests/fuzz/seeds/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?seconds per target}
shift
dir=${FUZZ_DIR:-target/fuzz}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls tests/fuzz/seeds)

# Our code is safe Rust, so coverage without the address sanitizer: three times as many executions.
cargo +nightly fuzz build --fuzz-dir tests/fuzz --target-dir "$dir/build" --sanitizer none --features libfuzzer target
program=$dir/build/x86_64-unknown-linux-gnu/release/target
failed=0
for target in "${targets[@]}"; do
    mkdir -p "$dir/corpus/$target" "$dir/findings"
    echo "== $target"
    # The last lines say executions; `time` says CPU.
    TIMEFORMAT="cpu %U s"
    time FUZZ_TARGET=$target "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb="${MEMORY_MB:-1024}" -max_len=4096 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$dir/findings/$target-" "$dir/corpus/$target" "tests/fuzz/seeds/$target" \
        || failed=1
done
exit $failed
