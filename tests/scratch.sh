# Sourced: a folder of its own in $work. When the script ends it is gone, and so are the processes in pids.
work=$(mktemp -d)
pids=()
finish() {
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
