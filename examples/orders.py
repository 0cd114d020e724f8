"""Price a file of orders, whatever its size.

    gristmill run examples/orders.py:add_tax orders.csv -o priced.csv

Kill it, fill the disk, pull the plug: the same command goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from gristmill import Failed, batch

TAX = {"DE": 0.19, "FR": 0.20, "NL": 0.21}


@dataclass
class Order:
    """A row of the input."""

    id: int
    country: str
    net: float


@dataclass
class Priced:
    """A row of the output."""

    id: int
    country: str
    net: float
    gross: float


@batch(max_size=1000)
def add_tax(orders: list[Order]) -> list[Priced | Failed]:
    """Add the tax of the country; an order from elsewhere fails alone."""
    return [
        Priced(order.id, order.country, order.net, round(order.net * (1 + TAX[order.country]), 2))
        if order.country in TAX
        else Failed(f"no tax is known for {order.country}", "unknown_country")
        for order in orders
    ]
