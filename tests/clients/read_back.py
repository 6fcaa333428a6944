"""Reads back what a client pushed, by paging `query_range`, and compares every line, its time and their order."""

import json
import os
import sys
import urllib.parse
import urllib.request

PAGE = 5000
SELECTORS = {
    "otlp": '{{service_name={}}} | client="otlp"',
    "winston": '{{client="winston", app={}}}',
}


def page(url, query, start_ns, end_ns):
    """Returns one page of entries, oldest first, over all streams of the answer."""
    parameters = {"query": query, "start": start_ns, "end": end_ns, "limit": PAGE, "direction": "forward"}
    with urllib.request.urlopen(url + "/loki/api/v1/query_range?" + urllib.parse.urlencode(parameters)) as answer:
        streams = json.load(answer)["data"]["result"]
    return sorted((int(value[0]), value[1]) for stream in streams for value in stream["values"])


def read_back(url, start_ns, client, path):
    """Compares one file's lines with what is stored."""
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        expected = [(start_ns + index * 1_000_000, line.rstrip("\n")) for index, line in enumerate(file, 1)]
    query = SELECTORS[client].format(json.dumps(os.path.basename(path)))
    end_ns = start_ns + (len(expected) + 1) * 1_000_000
    found, since = [], start_ns
    while entries := page(url, query, since, end_ns):
        found += entries
        since = entries[-1][0] + 1
    for index, (want, got) in enumerate(zip(expected, found)):
        if want != got:
            sys.exit(f"{client}: {path}: line {index + 1}: want {want}, got {got}")
    if len(expected) != len(found):
        sys.exit(f"{client}: {path}: {len(expected)} lines pushed, {len(found)} read")
    return len(found)


def main():
    """Checks every file."""
    url, start_ns, client, paths = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    print(f"{client}:", sum(read_back(url, start_ns, client, path) for path in paths), "lines read back, each once and in order")


main()
