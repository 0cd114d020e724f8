"""What holds for every test of faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.measuring import unmeasured


@pytest.fixture(scope="module", autouse=True)
def without_figures() -> Iterator[None]:
    """Have no process measure coverage: most are killed, which loses the figures of all they did."""
    with unmeasured():
        yield
