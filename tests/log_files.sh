#!/usr/bin/env bash
# Puts log files into a new folder, unpacked and with names of their own, for the tests that push them.
#
#   tests/log_files.sh DIR LINES [FILE…]   .gz and .bz2 are unpacked; without files one of LINES lines is made
set -euo pipefail
dir=$1 lines=$2
shift 2
mkdir "$dir"
for file in "$@"; do
    name=$(echo "$file" | tr '/' '-' | sed 's/^.*logs-//')
    case $file in
    *.gz) zcat "$file" >"$dir/${name%.gz}" ;;
    *.bz2) bzcat "$file" >"$dir/${name%.bz2}" ;;
    *) cp "$file" "$dir/$name" ;;
    esac
done
if [ $# -eq 0 ]; then
    for line in $(seq 1 "$lines"); do
        echo "level=info ts=$line msg=\"line $line of the made file\" path=/a/$((line % 97))"
    done >"$dir/made.log"
fi
