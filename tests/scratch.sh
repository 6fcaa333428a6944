# Sourced: a folder of its own in $work. When the script ends it is gone, and so are the processes in pids; where it failed, the end of
# every log in the folder is shown.
work=$(mktemp -d)
pids=()
finish() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 20 "$work"/*.log >&2 || true
    kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
