"""The input of the stream benchmarks: a table of orders, the same for the same number of rows.

`python -m benchmarks.orders ROWS FOLDER` writes `orders.csv` and `orders.parquet` there and prints the sizes.
About 8 % of the notes hold commas and 1 % a newline or quotes: a CSV reader must know quoting, and nobody
can cut the file at just any newline.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BLOCK = 131_072
"""Rows of one block: drawn, written and made a Parquet row group together."""
COUNTRIES = ("DE", "FR", "PL", "NL", "US", "BR", "IN", "JP", "GB", "ES")
FIRST = ("Ada", "Bruno", "Chiara", "Dmitri", "Élodie", "Farid", "Grete", "Hiro", "Inés", "Jürgen")
LAST = ("Adams", "Brandão", "Costa", "Dvořák", "Eriksen", "Fischer", "Gupta", "Haddad", "Ito", "Jansen")
WORDS = ("deliver", "before", "noon", "ring", "twice", "leave", "with", "neighbour", "gift", "fragile")


@dataclass(frozen=True, slots=True)
class Orders:
    """Where the table lies, in both formats."""

    csv: Path
    parquet: Path
    rows: int
    newlines: int

    @property
    def size(self) -> int:
        """Bytes of the CSV file."""
        return self.csv.stat().st_size

    def of(self, form: str) -> Path:
        return self.csv if form == "csv" else self.parquet

    def __str__(self) -> str:
        parquet = self.parquet.stat().st_size
        return f"{self.rows} rows of 8 columns, {self.size} bytes of CSV, {parquet} bytes of Parquet (snappy)"


def notes() -> list[str]:
    """A thousand texts of 2-9 words, the odd ones among them written as people write."""
    texts = []
    for number in range(1000):
        words = [
            WORDS[(number * 7 + place * (number % 9 + 1)) % len(WORDS)] for place in range(2 + number % 8)
        ]
        if number % 100 == 0:
            words.insert(1, "said\nthen" if number % 200 else 'said "now"')
        texts.append((", " if number % 12 == 0 else " ").join(words))
    return texts


def quoted(text: str) -> str:
    """As one cell of CSV, in quotes only where it must be."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text


def write(rows: int, room: Path) -> int:
    """Write both files; return the newlines in the CSV, those inside of quotes too."""
    import pyarrow as pa  # noqa: PLC0415 - only the process that writes loads it
    import pyarrow.compute as pc  # noqa: PLC0415 - as above
    from pyarrow import parquet  # noqa: PLC0415 - as above

    texts = pa.array(notes())
    written = pa.array([quoted(text) for text in notes()])
    users = pa.array([f"{first} {last}" for first in FIRST for last in LAST])
    countries = pa.array(COUNTRIES)

    def block(start: int, count: int) -> pa.RecordBatch:
        def draw(below: int, salt: int) -> pa.Array:
            share = pc.random(count, initializer=start * 31 + salt)
            return pc.cast(pc.floor(pc.multiply(share, below)), pa.int64())

        ids = pa.array(range(start, start + count))
        seconds = pc.add(pc.multiply(ids, 7), 1_767_225_600)
        return pa.record_batch(
            {
                "id": ids,
                "at": pc.cast(pc.cast(seconds, pa.timestamp("s")), pa.string()),
                "user": users.take(draw(len(users), 1)),
                "amount": pc.divide(pc.cast(draw(100_000, 2), pa.float64()), 100.0),
                "country": countries.take(draw(len(countries), 3)),
                "quantity": pc.add(draw(20, 4), 1),
                "express": pc.less(draw(10, 5), 1),
                "note": texts.take(draw(len(texts), 6)),
            }
        )

    def lines_of(drawn: pa.RecordBatch) -> str:
        note = written.take(pc.index_in(drawn["note"], value_set=texts))
        cells = [pc.cast(column, pa.string()) for column in drawn.columns[:-1]]
        return "\n".join(pc.binary_join_element_wise(*cells, note, ",").to_pylist()) + "\n"

    schema = block(0, 1).schema
    newlines = rows + 1
    with (
        (room / "orders.csv").open("w", encoding="utf-8", newline="") as text,
        parquet.ParquetWriter(str(room / "orders.parquet"), schema, compression="snappy") as groups,
    ):
        text.write(",".join(schema.names) + "\n")
        for start in range(0, rows, BLOCK):
            drawn = block(start, min(BLOCK, rows - start))
            newlines += pc.sum(pc.count_substring(drawn["note"], "\n")).as_py()
            text.write(lines_of(drawn))
            groups.write_batch(drawn, row_group_size=BLOCK)
    return newlines


@contextmanager
def orders(rows: int) -> Iterator[Orders]:
    """Make the table in a temporary folder, outside of the repository, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="gm-bench-") as room:
        command = [sys.executable, "-m", "benchmarks.orders", str(rows), room]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        said = json.loads(done.stdout)
        yield Orders(Path(room) / "orders.csv", Path(room) / "orders.parquet", rows, said["newlines"])


if __name__ == "__main__":
    wanted, folder = int(sys.argv[1]), Path(sys.argv[2])
    found = Orders(folder / "orders.csv", folder / "orders.parquet", wanted, write(wanted, folder))
    print(json.dumps({"rows": wanted, "newlines": found.newlines, "bytes": found.size}))
