from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gristmill.databases import BulkWriter, Pool
from gristmill.errors import ConfigurationError
from gristmill.telemetry.pools import register


async def test_a_pool_shows_how_it_stands(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    async with Pool(f"sqlite:///{tmp_path / 'a.db'}", name="main") as pool:
        register(registry, [pool])
        with pytest.raises(ConfigurationError, match="there is no table"):
            await BulkWriter(pool, "t").insert([{"a": 1}])
        text = generate_latest(registry).decode()
    assert 'gristmill_pool_open_connections{pool="main"} 1.0' in text
    assert 'gristmill_pool_acquired_total{pool="main"} 1.0' in text
    assert 'gristmill_pool_idle_connections{pool="main"} 1.0' in text
    assert 'gristmill_pool_timeouts_total{pool="main"} 0.0' in text


def test_pools_of_one_name_are_refused(tmp_path: Path) -> None:
    pools = [Pool(f"sqlite:///{tmp_path / name}") for name in ("a", "b")]
    with pytest.raises(ConfigurationError, match="different names to be told apart: sqlite"):
        register(CollectorRegistry(), pools)
