"""A run that copies Parquet columns, killed at any instant and run again, ends with the very same bytes."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from soak.streams.killing import Killer, unbroken

KILLS = 2
GROUPS, GROUP = 25, 40_000
BAD = 3 * GROUP + 11
"""A row of a row group in the midst fails: that one is encoded."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """The input, and what is in it."""
    path = tmp_path_factory.mktemp("source") / "in.parquet"
    notes = pa.array(["bad" if number == BAD else f"note {number % 997}" for number in range(GROUPS * GROUP)])
    table = pa.table({"id": pa.array(range(GROUPS * GROUP)), "note": notes})
    pq.write_table(table, path, row_group_size=GROUP, compression="gzip", compression_level=1)
    return path, table


def content(folder: Path, name: str) -> dict[str, bytes]:
    path = folder / name
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return {each.name.replace(name, ""): each.read_bytes() for each in files}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", [".parquet", "/"])
def test_the_output_of_a_killed_run_is_that_of_an_unbroken_one(
    end: str, source: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    path, table = source

    def words(name: str) -> list[str]:
        handler = "tests.faults.streams.table_mill:doubled"
        return [handler, str(path), "-o", f"{name}{end}", "--workers", "2", "--commit-seconds", "0.05"]

    seconds = unbroken(tmp_path, words("whole"))
    killer = Killer(tmp_path, lambda: words("torn"), random.Random(f"{end} 1"), seconds)
    killer.until_done(KILLS)

    assert killer.deaths
    whole, torn = content(tmp_path, f"whole{end}".rstrip("/")), content(tmp_path, f"torn{end}".rstrip("/"))
    assert list(torn.values()) == list(whole.values())
    kept = table.filter(pc.not_equal(table["note"], "bad"))
    found = pq.read_table(tmp_path / f"torn{end}")
    assert found == kept.append_column("double", pc.multiply(kept["id"], 2))
    groups = [pq.read_metadata(each) for each in sorted(tmp_path.glob("torn*/*.parquet"))] or [
        pq.read_metadata(tmp_path / "torn.parquet")
    ]
    codecs = [
        each.row_group(index).column(1).compression for each in groups for index in range(each.num_row_groups)
    ]
    assert codecs == ["ZSTD" if index == BAD // GROUP else "GZIP" for index in range(GROUPS)]
