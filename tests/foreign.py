"""Compares what DuckDB selects from compacted segments with what our reader found (JSON lines beside each file)."""

import json
import struct
import sys
from pathlib import Path

import duckdb

# A row's value, as FORMAT.md has it.
VALUE = "coalesce((v_int + v_base) / scale, v_dbl)"
# A cut line: its template with each variable put in. Numbers with leading zeros are stored as -(10^digits + value).
NUMBERS, TEXTS = 24, 8
LINE = "line_template"
for column in range(NUMBERS):
    digits = f"coalesce(if(line_n{column} < 0, substr(line_n{column}::VARCHAR, 3), line_n{column}::VARCHAR), '')"
    LINE = f"replace({LINE}, chr(1) || '{chr(ord('a') + column)}', {digits})"
for column in range(TEXTS):
    LINE = f"replace({LINE}, chr(1) || '{chr(ord('A') + column)}', coalesce(line_t{column}, ''))"
LINE = f"coalesce(body, {LINE})"
OURS = {"series_id", "stream_id", "ts", "scale", "v_base", "v_int", "v_dbl", "st", "hist", "labels", "body", "line_len", "metadata"}
OURS |= {"line_template", *(f"line_n{column}" for column in range(NUMBERS)), *(f"line_t{column}" for column in range(TEXTS))}


def columns(db, path):
    return [row[0] for row in db.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()]


def labels_of(names, values, rest):
    labels = {name: value for name, value in zip(names, values) if value is not None}
    return {**labels, **(rest or {})}


def bits(value):
    return None if value is None else struct.pack(">d", value).hex()


def rows_of(db, path, select, names, present):
    quoted = ", ".join(f'"{name}"' for name in names) or "NULL"
    rest = "labels" if "labels" in present else "NULL"
    order = "file_row_number"
    query = f"SELECT {select}, {quoted}, {rest} FROM read_parquet(?, file_row_number = true) ORDER BY {order}"
    return db.execute(query, [str(path)]).fetchall()


def check_metrics(db, path):
    present = columns(db, path)
    names = [name for name in present if name not in OURS and not name.startswith("meta_")]
    start = "epoch_ms(st)" if "st" in present else "NULL"
    hist = "hist" if "hist" in present else "NULL"
    expected = {}
    for line in path.with_suffix(".jsonl").open():
        series = json.loads(line)
        key = json.dumps(series["labels"], sort_keys=True)
        for time, value, begun in series["values"]:
            expected[key, time] = (series["id"], value, begun, None)
        for time, *histogram in series["histograms"]:
            expected[key, time] = (series["id"], None, 0, histogram)
    seen = 0
    for identity, time, value, begun, histogram, *labels, rest in rows_of(
        db, path, f"series_id, epoch_ms(ts), {VALUE}, {start}, {hist}", names, present
    ):
        key = json.dumps(labels_of(names, labels, rest), sort_keys=True)
        if histogram is not None:
            histogram = [histogram["count"], histogram["sum"], histogram["positive_buckets"], histogram["positive_offsets"][0]]
        found = (identity, bits(value), begun or 0, histogram)
        if expected.pop((key, time), None) != found:
            sys.exit(f"{path.name}: {key} at {time}: DuckDB has {found}")
        seen += 1
    if expected:
        sys.exit(f"{path.name}: DuckDB misses {len(expected)} rows, such as {next(iter(expected))}")
    return seen


def check_logs(db, path):
    present = columns(db, path)
    names = [name for name in present if name not in OURS and not name.startswith("meta_")]
    keys = [name for name in present if name.startswith("meta_")]
    expected = [json.loads(line) for line in path.with_suffix(".jsonl").open()]
    metadata = ", ".join(f'"{key}"' for key in keys) or "NULL"
    rows = rows_of(db, path, f"epoch_ns(ts), {LINE}, line_len, metadata, {metadata}", names, present)
    if len(rows) != len(expected):
        sys.exit(f"{path.name}: DuckDB has {len(rows)} rows, our reader {len(expected)}")
    for row, (labels, time, line, entry) in zip(rows, expected):
        found_time, body, line_len, rest, *others = row
        values, label_values, label_rest = others[: max(1, len(keys))], others[max(1, len(keys)) : -1], others[-1]
        found = labels_of([key.removeprefix("meta_") for key in keys], values, rest)
        found = (labels_of(names, label_values, label_rest), found_time, body, found, line_len)
        if found != (labels, time, line, entry, len(line.encode())):
            sys.exit(f"{path.name}: DuckDB has {found}, our reader {(labels, time, line, entry)}")
    return len(rows)


def main():
    directory = Path(sys.argv[1])
    db = duckdb.connect()
    files = sorted(directory.glob("*.parquet"))
    if not files:
        sys.exit(f"no segments in {directory}")
    for path in files:
        check = check_metrics if path.name.startswith("metrics") else check_logs
        print(f"{path.name}: {check(db, path)} rows are the same in DuckDB {duckdb.__version__}")


main()
