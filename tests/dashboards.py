#!/usr/bin/env python3
"""Asks every query of every dashboard of a running Lamella, as Grafana would, and fails where one returns no data.

    tests/dashboards.py URL [BOARD...]     boards: node, lamella, logs, tenants; all by default

Grafana's variables become what a viewer sees first: every job, every service, an empty search, a range of 15 minutes.
"""

import json
import pathlib
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

BOARDS = pathlib.Path(__file__).resolve().parent.parent / "localstack/grafana/dashboards"
RANGE_S = 15 * 60
STEP_S = 15
VARIABLES = {
    "$__rate_interval": "1m",
    "$__auto": "1m",
    "$__interval": "15s",
    "$job": ".+",
    "$instance": ".+",
    "$service": ".+",
    "$search": "",
}
# Empty on a healthy server.
MAY_BE_EMPTY = {"Errors by service"}


def ask(base, path, **parameters):
    url = f"{base}{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{error.code} for {parameters.get('query')}: {error.read().decode(errors='replace')}") from error


def answer(base, target, now):
    query = target["expr"]
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    span = {"start": now - RANGE_S, "end": now, "step": STEP_S}
    if target["datasource"]["type"] == "loki":
        return ask(base, "/loki/api/v1/query_range", query=query, limit=100, **span)
    if target["instant"]:
        return ask(base, "/api/v1/query", query=query, time=now)
    return ask(base, "/api/v1/query_range", query=query, **span)


def main():
    base, wanted = sys.argv[1], set(sys.argv[2:])
    now, asked, empty = int(time.time()), 0, []
    for path in sorted(BOARDS.glob("*.json")):
        if wanted and path.stem not in wanted:
            continue
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                asked += 1
                if not answer(base, target, now) and panel["title"] not in MAY_BE_EMPTY:
                    empty.append(f"{path.stem}: {panel['title']}: {target['expr']}")
    print(f"{asked} dashboard queries asked, {len(empty)} without data")
    sys.exit("\n".join(empty) if empty or not asked else 0)


if __name__ == "__main__":
    main()
