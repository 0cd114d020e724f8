"""One peer of `stream_columns` in a process of its own: read, add the column `gross`, write.

`python -m benchmarks.column_peers PEER csv|parquet INPUT OUTPUT THREADS`. Each keeps the order of the rows,
and Parquet is snappy for everyone.
"""

from __future__ import annotations

import os
import sys


def duckdb(form: str, source: str, target: str, threads: int) -> None:
    """Types found by DuckDB itself."""
    _duckdb(form, source, target, threads, "")


def duckdb_text(form: str, source: str, target: str, threads: int) -> None:
    """All columns stay text but the one that is counted with: less to parse and to write."""
    _duckdb(form, source, target, threads, ", all_varchar=true")


def _duckdb(form: str, source: str, target: str, threads: int, options: str) -> None:
    import duckdb  # noqa: PLC0415 - each peer loads only its own library

    reader = f"read_csv('{source}', header=true{options})" if form == "csv" else f"read_parquet('{source}')"
    options = "FORMAT csv, HEADER" if form == "csv" else "FORMAT parquet, COMPRESSION snappy"
    connection = duckdb.connect(config={"threads": threads})
    gross = "round(CAST(amount AS DOUBLE) * 1.19, 2) AS gross"
    connection.execute(f"COPY (SELECT *, {gross} FROM {reader}) TO '{target}' ({options})")  # noqa: S608 - our own paths


def polars(form: str, source: str, target: str, threads: int) -> None:
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl  # noqa: PLC0415 - as above, and after its setting

    lazy = pl.scan_csv(source) if form == "csv" else pl.scan_parquet(source)
    lazy = lazy.with_columns((pl.col("amount") * 1.19).round(2).alias("gross"))
    if form == "csv":
        lazy.sink_csv(target)
    else:
        lazy.sink_parquet(target, compression="snappy")


def pyarrow(form: str, source: str, target: str, threads: int) -> None:
    """A stream of record batches, as its documentation shows; quoted newlines make it parse in one thread."""
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.compute as pc  # noqa: PLC0415 - as above
    from pyarrow import csv, parquet  # noqa: PLC0415 - as above

    pa.set_cpu_count(threads)

    def added(batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("gross", pc.round(pc.multiply(batch["amount"], 1.19), 2))

    if form == "csv":
        with csv.open_csv(source, parse_options=csv.ParseOptions(newlines_in_values=True)) as batches:
            schema = batches.schema.append(pa.field("gross", pa.float64()))
            with csv.CSVWriter(target, schema) as writer:
                for batch in batches:
                    writer.write_batch(added(batch))
        return
    groups = parquet.ParquetFile(source)
    schema = groups.schema_arrow.append(pa.field("gross", pa.float64()))
    with parquet.ParquetWriter(target, schema, compression="snappy") as writer:
        for batch in groups.iter_batches(batch_size=131_072):
            writer.write_batch(added(batch))


PEERS = {"DuckDB": duckdb, "DuckDB, as text": duckdb_text, "Polars": polars, "PyArrow": pyarrow}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*sys.argv[2:5], int(sys.argv[5]))
