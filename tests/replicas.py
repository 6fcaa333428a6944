#!/usr/bin/env python3
"""Checks what was made of two replicas, of which `a` was killed at a time and `b` was not: replicas.py ELECTING STORING SECONDS."""

import json
import sys
import time
import urllib.parse
import urllib.request

INTERVAL, FAILOVER, UPDATE = 2, 10, 5
elected, pair, killed = sys.argv[1], sys.argv[2], int(sys.argv[3])
now = int(time.time()) - 4  # what is newer may be on its way
failed = 0


def ask(url, path, **parameters):
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def expect(what, holds, seen):
    global failed
    failed += not holds
    print(f"{'ok' if holds else 'NOT'}: {what} ({seen})")


def metric(name):
    with urllib.request.urlopen(f"{elected}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


# One of them is taken in.
series = ask(elected, "query", query='up{job="node"}[5m]', time=now)
times = [float(at) for at, _ in series[0]["values"]] if series else []
gaps = [later - earlier for earlier, later in zip(times, times[1:])]
labels = [one["metric"] for one in series]
expect("elected: one series, which is no replica's", len(labels) == 1 and "__replica__" not in labels[0], labels)
expect("elected: its longest gap is a failover", gaps and max(gaps) <= FAILOVER + UPDATE + 3 * INTERVAL, max(gaps, default=None))
expect("elected: the other went on", times and times[-1] > killed + FAILOVER + UPDATE, times[-1] - killed if times else None)
short = sum(gap < INTERVAL / 2 for gap in gaps)
expect("elected: one at a time, but where one takes over", short <= 3, f"{short} of {len(gaps)} distances are short")
fallen = ask(elected, "query", query="sum(resets(node_cpu_seconds_total[5m]))", time=now)
expect("elected: no counter falls", [one["value"][1] for one in fallen] == ["0"], fallen)
elections, covered = metric("lamella_ingest_elections_total"), metric('lamella_ingest_replica_rows_total{outcome="covered"}')
expect("elected: one after the other, which was covered", elections >= 2 and covered > 0, f"{elections:.0f} elections, {covered:.0f} rows covered")

# Both are stored, and are one when asked.
both = ask(pair, "query", query="up", time=now, dedup="false")
one = ask(pair, "query", query="up", time=now, dedup="true")
expect("pair: two series are stored, one is answered", (len(both), len(one)) == (2, 1), (len(both), len(one)))
query = "sum(rate(node_cpu_seconds_total[20s])) + 0 * sum(count_over_time(up[10s]))"
start = killed - 10
whole = ask(pair, "query_range", query=query, start=start, end=now, step=1, dedup="true")
answer = dict(map(tuple, whole[0]["values"])) if whole else {}
expect("pair: there is no gap while a is dead", len(answer) == now - start + 1, f"{len(answer)} of {now - start + 1} steps")
for begin, step in ((start + 7, 1), (start + 14, 3), (killed + 1, 5)):
    part = ask(pair, "query_range", query=query, start=begin, end=now, step=step, dedup="true")
    same = part and all(answer.get(at) == value for at, value in part[0]["values"])
    expect("pair: the answer does not depend on where a query starts", bool(same), f"{begin - killed:+} s by {step} s")
at = killed + 20
alone = ask(pair, "query", query='count_over_time(up{__replica__="b"}[12s])', time=at)
made_one = ask(pair, "query", query="count_over_time(up[12s])", time=at, dedup="true")
counts = [[series["value"][1] for series in answer] for answer in (alone, made_one)]
expect("pair: where a is dead, the answer is b's", counts[0] == counts[1] != [], counts)
sys.exit(failed > 0)
