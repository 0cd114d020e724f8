"""Add a column to rows that are dicts."""

from typing import Any

from gristmill import batch


@batch(max_size=1000)
def add_gross(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**order, "gross": round(float(order["amount"]) * 1.19, 2)} for order in orders]
