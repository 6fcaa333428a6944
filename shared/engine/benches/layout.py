"""Layouts of compacted metrics in DataFusion: bytes, and the time of four queries. Decision: docs/0008-layout.md.

    cargo run --release -p segment --example sizes -- s 300 240      (SIZES_OUT=DIR keeps s-hour-Normal-0.parquet)
    python3 -m venv V && V/bin/pip install datafusion pyarrow
    V/bin/python shared/engine/benches/layout.py DIR/s-hour-Normal-0.parquet METRIC LABEL=VALUE

Not a cargo bench: our build leaves out DataFusion's Parquet source (docs/0001), PyPI has the same engine with it.
"""

import os
import sys
import tempfile
import time

import datafusion
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

OURS = {"series_id", "ts", "scale", "v_base", "v_int", "v_dbl", "st", "hist", "labels"}
VALUE = "coalesce((v_int + v_base) / scale, v_dbl)"
REPEATS = 5


def variants(path, folder):
    """Writes the same samples in the other layouts; returns name -> path."""
    table = pq.read_table(path)
    labels = [name for name in table.column_names if name not in OURS]
    ints = pc.divide(pc.cast(pc.add(table["v_int"], table["v_base"]), pa.float64()), table["scale"])
    value = pc.coalesce(ints, table["v_dbl"])
    rows = table.select(["series_id", "ts", *labels]).append_column("value", value)
    common = {"compression": "zstd", "compression_level": 3, "row_group_size": 1 << 20, "data_page_version": "2.0"}
    keys = {"use_dictionary": ["series_id", *labels], **common}
    out = {"typed rows (ours)": path}
    out["rows, doubles split"] = f"{folder}/rows.parquet"
    encodings = {"ts": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}
    pq.write_table(rows, out["rows, doubles split"], column_encoding=encodings, **keys)
    out["rows, doubles plain"] = f"{folder}/plain.parquet"
    pq.write_table(rows, out["rows, doubles plain"], column_encoding={"ts": "DELTA_BINARY_PACKED", "value": "PLAIN"}, **keys)
    ids = table["series_id"].to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    offsets = pa.array(np.concatenate([starts, [len(ids)]]).astype(np.int32))
    one = rows.select(["series_id", *labels]).take(pa.array(starts))
    lists = one.append_column("ts", pa.ListArray.from_arrays(offsets, rows["ts"].combine_chunks()))
    lists = lists.append_column("value", pa.ListArray.from_arrays(offsets, value.combine_chunks()))
    out["row a series, lists"] = f"{folder}/lists.parquet"
    encodings = {"ts.list.element": "DELTA_BINARY_PACKED", "value.list.element": "BYTE_STREAM_SPLIT"}
    pq.write_table(lists, out["row a series, lists"], column_encoding=encodings, data_page_size=1 << 16, write_batch_size=32, **keys)
    return out


def queries(name, metric, label):
    key, text = label.split("=", 1)
    series = f"__name__ = '{metric}' AND {key} = '{text}'"
    if "lists" in name:
        def flat(where):
            return f"(SELECT unnest(ts) AS ts, unnest(value) AS value FROM t {where})"
        sums = "SELECT sum(value), count(*) FROM "
        of_metric = f"WHERE __name__ = '{metric}'"
        return {
            "one series": "SELECT ts, value FROM " + flat("WHERE " + series),
            "a metric": sums + flat(of_metric),
            "all": sums + flat(""),
            "last 5 min": sums + flat("") + " WHERE ts >= (SELECT max(array_max(ts)) FROM t) - INTERVAL '5 minutes'",
        }
    value = VALUE if "ours" in name else "value"
    return {
        "one series": f"SELECT ts, {value} FROM t WHERE {series}",
        "a metric": f"SELECT sum({value}), count(*) FROM t WHERE __name__ = '{metric}'",
        "all": f"SELECT sum({value}), count(*) FROM t",
        "last 5 min": f"SELECT sum({value}), count(*) FROM t WHERE ts >= (SELECT max(ts) FROM t) - INTERVAL '5 minutes'",
    }


def main():
    path, metric, label = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        files = variants(path, folder)
        rows = pq.ParquetFile(path).metadata.num_rows
        print(f"{rows} samples, DataFusion {datafusion.__version__}, best of {REPEATS}, CPU ms of the process")
        for name, file in files.items():
            config = datafusion.SessionConfig().with_target_partitions(2).set("datafusion.execution.parquet.pushdown_filters", "true")
            context = datafusion.SessionContext(config)
            context.register_parquet("t", file)
            figures = []
            for query, sql in queries(name, metric, label).items():
                best = None
                for _ in range(REPEATS):
                    started = time.process_time()
                    found = context.sql(sql).collect()
                    took = (time.process_time() - started) * 1e3
                    best = took if best is None else min(best, took)
                counted = sum(batch.num_rows for batch in found) if query == "one series" else found[0].column(1)[0].as_py()
                figures.append(f"{query} {best:.1f} ({counted})")
            print(f"{name}: {os.path.getsize(file) / rows:.3f} B/sample; " + ", ".join(figures))


main()
