"""A measurement and its advice as one JSON document; its members stay what they are."""

from __future__ import annotations

from typing import Any

from gristmill.tuning.advice import Advice
from gristmill.tuning.measuring import Measurement


def document(handler: str, measurement: Measurement, advice: Advice) -> dict[str, Any]:
    """Return what ``gristmill tune --json`` prints; durations are in seconds."""
    cost, cliff = advice.cost, advice.cliff
    return {
        "handler": handler,
        "recommended": {
            "size": advice.size,
            "bound": advice.bound,
            "why": advice.why,
            "items_per_second": advice.size / cost.expected(advice.size),
            "batch_s": cost.expected(advice.size),
        },
        "fixed_cost_s": cost.fixed_cost,
        "item_cost_s": cost.item_cost,
        "noise": advice.noise,
        "cliff": cliff
        and {"last_good": cliff.last_good, "first_bad": cliff.first_bad, "factor": cliff.factor},
        "sizes": [
            {
                "size": each.size,
                "runs": len(each.seconds),
                "items_per_second": each.throughput,
                "batch_s": {"p10": each.low, "p50": each.median, "p90": each.high},
                "item_s": each.median / each.size,
                "fixed_share": cost.fixed_share(each.size),
                "failed": each.failed,
            }
            for each in measurement.sizes
        ],
        "left_out": measurement.left_out,
        "failures": dict(measurement.codes),
        "elapsed_s": measurement.elapsed,
        "notes": advice.notes,
    }
