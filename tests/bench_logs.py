"""ClickHouse's side of tests/bench-logs.sh: loads the lines, compares its answers with Lamella's, prints CPU of both.

The folder named has lines.tsv, answers.tsv and lamella.txt, as the script makes them.
"""

import collections
import math
import re
import resource
import sys

from chdb import session

WORK = sys.argv[1]
START_NS, STEP_NS = 1_767_225_600_000_000_000, 300_000_000_000
# No result is kept; one processor.
SETTINGS = "SETTINGS use_query_cache=0, use_query_condition_cache=0, max_threads=1"
# The step whose window (t - step, t] a time is in.
STEP = f"intDiv(ts - {START_NS} + {STEP_NS - 1}, {STEP_NS})"

TABLE = """CREATE TABLE logs.lines (
    app LowCardinality(String), cluster LowCardinality(String), namespace LowCardinality(String), pod LowCardinality(String),
    ts Int64 CODEC(Delta, ZSTD(1)), level LowCardinality(String), line String CODEC(ZSTD(1)),
    INDEX words line TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 1
) ENGINE = MergeTree ORDER BY (app, cluster, namespace, pod, ts)"""


def counted(by, value="count()", where="1"):
    labels = f"concat('{{{by}=\"', {by}, '\"}}')" if by else "'{}'"
    return f"SELECT {labels}, {STEP} AS step, {value} FROM logs.lines WHERE {where} GROUP BY 1, 2"


def found(needle, token):
    """The token is a word of the needle: the index on tokens answers for whole ones."""
    has = f"hasToken(line, '{token}') AND line LIKE '%{needle}%'"
    return f"SELECT ts, line FROM logs.lines WHERE {has} ORDER BY ts DESC LIMIT 100"


def queries(trace):
    five = {rest: "app IN (" + ", ".join(f"'app-{app}'" for app in range(rest, 25, 5)) + ")" for rest in (0, 1)}
    duration = "toFloat64(extract(line, 'duration=([0-9]+)ms')) / 1000"
    return {
        "L1": found(" needle-in-the-haystack", "needle"),
        "L4": counted("app"),
        "L4b": counted("app", "sum(length(line))"),
        "L4l": counted("level").replace("{level=", "{detected_level="),
        "L5": counted("namespace", "count() / 300", "match(line, '(?i)error')"),
        "L6": counted("app", where=f"{five[0]} AND JSONExtractInt(line, 'status') >= 500"),
        "L7": counted("app", f"quantileExactInclusive(0.95)({duration})", five[1]),
        "L8": counted("", where="cluster = 'cluster-1' AND match(line, 'handled in [0-9]+ ms')"),
        "L9": found(f"trace_id={trace}", trace),
    }


def parsed(rows):
    """An answer as a set of lines, or as values by series and step."""
    if rows and len(rows[0]) == 2:
        return sorted(map(tuple, rows))
    return {(labels, step): float(value) for labels, step, value in rows}


def same(ours, theirs):
    if isinstance(ours, list) or isinstance(theirs, list):
        return ours == theirs
    near = lambda key: math.isclose(ours[key], theirs[key], rel_tol=1e-9)
    return ours.keys() == theirs.keys() and all(map(near, ours))


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    ours, trace = collections.defaultdict(list), None
    for row in open(f"{WORK}/answers.tsv", encoding="utf-8"):
        name, *rest = row.rstrip("\n").split("\t")
        if rest[:1] == ["query"]:
            trace = trace or (re.search("trace_id=([0-9a-f]+)", rest[1]) or [None, None])[1]
            ours[name] = []
        elif name in ours:
            ours[name].append(rest)
    lamella = dict(re.findall(r"^(L\w+) +([0-9.]+) ms CPU", open(f"{WORK}/lamella.txt").read(), re.M))

    click = session.Session(f"{WORK}/clickhouse")
    ask = lambda text: click.query(f"{text} {SETTINGS}", "TSVRaw").bytes().decode()
    click.query("CREATE DATABASE logs")
    click.query(TABLE)
    before = cpu()
    columns = "app String, cluster String, namespace String, pod String, ts Int64, level String, line String"
    click.query(f"INSERT INTO logs.lines SELECT * FROM file('{WORK}/lines.tsv', 'TSVRaw', '{columns}')")
    click.query("OPTIMIZE TABLE logs.lines FINAL")
    stored = "SELECT version(), sum(rows), sum(bytes_on_disk), count() FROM system.parts WHERE active AND table = 'lines'"
    print(f"loaded in {cpu() - before:.1f} s CPU; version, rows, bytes, parts:", ask(stored).strip())

    wrong = 0
    for name, text in queries(trace).items():
        theirs = parsed([row.split("\t") for row in ask(text).splitlines()])
        is_same = same(parsed(ours[name]), theirs)
        wrong += not is_same
        before, runs = cpu(), 0
        while cpu() < before + 1.0 and runs < 500:
            ask(text)
            runs += 1
        theirs_ms = (cpu() - before) * 1000 / runs
        ratio = float(lamella[name]) / theirs_ms
        said = f"same, {len(theirs)} rows" if is_same and theirs else "ANOTHER ANSWER"
        print(f"{name:4} Lamella {float(lamella[name]):8.2f} ms  ClickHouse {theirs_ms:8.2f} ms  {ratio:5.2f}  {said}")
        wrong += not theirs
    sys.exit(1 if wrong else 0)


main()
